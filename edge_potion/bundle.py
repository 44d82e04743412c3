"""A bundle: a model folder with ONNX graphs in it. Which graphs and precisions it holds, and what it says of itself."""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.find import BUILT_IN_FOLDER, read_json
from edge_potion.labels import Labels, labels_in
from edge_potion.manifest import FileSum, check_content, check_files, read_manifest
from edge_potion.phrases_told import phrases_told
from edge_potion.st_pipeline import MODULES_FILE, SETTINGS_FILE, Pipeline, read_pipeline

__all__ = ["GRAPHS", "PRECISIONS", "Bundle", "graph_file", "is_bundle", "open_bundle"]

# File names inside onnx/, which fastembed and transformers.js look for: stem by graph, suffix by precision. The order
# is the rule of graph="auto": on a CPU the text graph embeds several times as fast as a tokenizer with another graph,
# in ONNX Runtime too (docs/results/speed.md); other providers have no kernels for most of it.
GRAPHS = {"text": "text", "bag": "bag", "tokens": "model"}
CPU_GRAPHS = ("text",)
LARGEST_FILE = 2**31  # bytes: protobuf takes no larger graph
Content = TypeVar("Content", bound=bytes | mmap.mmap)
PRECISIONS = {"int8": "_quantized", "float16": "_fp16", "float32": ""}


@dataclass(frozen=True)
class Bundle:
    """An exported folder.

    Attributes:
        folder: where it lies.
        config: its config.json.
        graphs: file of each (graph, precision) that it holds.
        dim: D, width of a vector.
        max_tokens: where a text is cut; None means never.
        normalize: whether vectors have unit length.
        sums: what each file was when it was exported, by its path in the folder; empty where nothing tells.
        prompt: what stands before every text: the default prompt of the model, "" for none. The graphs alone do not put
            it there.
        prompts: the model's prompts by name.
        labels: what it answers with, where it is a classifier.
        phrases: P, how many pairs of tokens have a row of their own, which its graphs find.
        remarks: from `export`, a line each: what the bundle lacks that one might think it has.
    """

    folder: Path
    config: Mapping[str, Any]
    graphs: Mapping[tuple[str, str], Path]
    dim: int
    max_tokens: int | None
    normalize: bool
    sums: Mapping[str, FileSum] = field(default_factory=dict)
    prompt: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    labels: Labels | None = None
    phrases: int = 0
    remarks: tuple[str, ...] = ()

    def check(self, file: Path) -> Path:
        """A file of the bundle, once it is sure that it is what was exported.

        Raises:
            ModelFormatError: it is damaged.
        """
        check_files(self.folder, self.sums, [file.relative_to(self.folder).as_posix()])
        return file

    def read(self, file: Path) -> bytes:
        """The content of a file of the bundle; what is held to the manifest is what is returned.

        Raises:
            ModelFormatError: it is missing, damaged, no plain file or larger than any of ours.
        """
        return self._held_to_manifest(file, Path.read_bytes)

    def copied(self, file: Path) -> bytes | mmap.mmap:
        """The same, in memory of large pages where the system has such: tables are looked up in it at random.

        Raises:
            ModelFormatError: as `read`.
        """
        return self._held_to_manifest(file, _copied)

    def mapped(self, file: Path) -> mmap.mmap:
        """The same, mapped: for a file that nobody writes into, as what is written there would be seen.

        Raises:
            ModelFormatError: as `read`.
        """
        return self._held_to_manifest(file, _mapped)

    def _held_to_manifest(self, file: Path, read: Callable[[Path], Content]) -> Content:
        try:
            found = file.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST_FILE:
                raise ModelFormatError(f"{file} is no file, or larger than {LARGEST_FILE:,} bytes")
            content = read(file)
        except (OSError, ValueError) as failure:  # ValueError: an empty file cannot be mapped
            raise ModelFormatError(f"{file} is missing or cannot be read ({failure})") from failure
        check_content(file, content, _at_load(self.folder, self.sums).get(file.relative_to(self.folder).as_posix()))
        return content

    @property
    def precisions(self) -> list[str]:
        """Precisions that it holds, smallest first."""
        return [precision for precision in PRECISIONS if any(held == precision for _, held in self.graphs)]

    def pick(self, graph: str, precision: str, *, on_cpu: bool = True) -> tuple[str, Path]:
        """Name and file of a graph at `precision`; "auto" takes the first it holds in the order of GRAPHS.

        Where it is not `on_cpu`, graphs that only a CPU runs come last.

        Raises:
            InputError: the bundle holds no such graph.
        """
        if graph not in ("auto", *GRAPHS):
            raise InputError(f"there is no graph {graph!r}; the graphs are {', '.join(GRAPHS)}")
        in_order = sorted(GRAPHS, key=lambda name: not on_cpu and name in CPU_GRAPHS)
        for name in in_order if graph == "auto" else [graph]:
            if (name, precision) in self.graphs:
                return name, self.graphs[name, precision]
        held = ", ".join(f"{name} at {at}" for name, at in self.graphs)
        raise InputError(
            f"{self.folder} holds no {'graph' if graph == 'auto' else graph} at {precision}; it holds {held}"
        )


def _mapped(file: Path) -> mmap.mmap:
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _copied(file: Path) -> bytes | mmap.mmap:
    with file.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        if not size:
            return b""
        # On Windows that is all; elsewhere -1 alone would be shared with processes that are forked from this one.
        private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
        copy = mmap.mmap(-1, size, **private)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel without them
                copy.madvise(mmap.MADV_HUGEPAGE)
        with memoryview(copy) as room:
            done = 0
            while done < size and (count := stream.readinto(room[done:])):
                done += count
    if done < size:
        raise OSError(f"it ends after {done:,} of {size:,} bytes")
    return copy


def graph_file(graph: str, precision: str) -> str:
    """Path of a graph relative to the bundle's folder: "onnx/model_quantized.onnx"."""
    return f"onnx/{GRAPHS[graph]}{PRECISIONS[precision]}.onnx"


def is_bundle(folder: Path) -> bool:
    """Whether `folder` was written by `export`: other makers' onnx/ folders have neither of these files."""
    return (folder / "golden.json").is_file() or bool(read_manifest(folder))


def open_bundle(folder: Path) -> Bundle:
    """Read what a bundle holds.

    Raises:
        ModelFormatError: the folder is no bundle of ours, holds no graph, or a config.json that is missing or
            inconsistent.
    """
    if not is_bundle(folder):  # whatever its onnx/ holds is of another maker
        raise ModelFormatError(
            f"{folder} is no bundle of ours (neither golden.json nor our manifest.json is there); write one with "
            f"`edge-potion export {folder} --out BUNDLE`"
        )
    found = {
        (graph, precision): folder / graph_file(graph, precision)
        for graph in GRAPHS
        for precision in PRECISIONS
        if (folder / graph_file(graph, precision)).is_file()
    }
    if not found:
        raise ModelFormatError(
            f"{folder} holds none of our graphs (onnx/text*.onnx, onnx/bag*.onnx, onnx/model*.onnx); write a bundle "
            "with `edge-potion export`"
        )
    sums = read_manifest(folder)
    config = read_json(folder / "config.json")
    at_load = _at_load(folder, sums)
    check_files(folder, at_load, ["config.json"])  # behind it, so that what was read is what is held to the manifest
    dim, max_tokens, normalize = config.get("hidden_dim"), config.get("max_length"), config.get("normalize")
    for key, value, fits in (
        ("hidden_dim", dim, type(dim) is int and dim > 0),
        ("max_length", max_tokens, max_tokens is None or (type(max_tokens) is int and max_tokens > 0)),
        ("normalize", normalize, type(normalize) is bool),
    ):
        if not fits:
            raise ModelFormatError(f"{folder / 'config.json'}: {key} is {value!r}; export the bundle again")
    pipeline = _pipeline_in(folder, at_load)
    own = (int(dim or 0), max_tokens, bool(normalize))
    labels = labels_in(config, folder / "config.json")
    phrases = phrases_told(config, folder / "config.json")
    return Bundle(folder, config, found, *own, sums, pipeline.prompt, pipeline.prompts, labels, phrases)


def _at_load(folder: Path, sums: Mapping[str, FileSum]) -> Mapping[str, FileSum]:
    """What files are held to when they are read: of the model that came with the package no more than the rest of the
    package is, as it takes a tenth of a start; `verify` holds it to all."""
    return {} if folder.parent == BUILT_IN_FOLDER else sums


def _pipeline_in(folder: Path, sums: Mapping[str, FileSum]) -> Pipeline:
    """The prompts that a bundle states.

    Raises:
        ModelFormatError: it states something else too that its graphs do not do.
    """
    pipeline = read_pipeline(folder)
    check_files(folder, sums, [MODULES_FILE, SETTINGS_FILE])
    others = [step.kind for step in pipeline.steps[1:] if step.kind not in ("Normalize", "Dropout")]
    others += ["truncate_dim"] if pipeline.truncate_dim is not None else []
    if others:
        raise ModelFormatError(
            f"{folder} states {' and '.join(others)}, which its graphs do not do; export what it was made from again"
        )
    return pipeline
