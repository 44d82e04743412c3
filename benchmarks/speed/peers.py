"""The peers of a benchmark, a row each, on the table of the first bundle; and how the file that each runs is made."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import edge_potion
from edge_potion.bundle import Bundle, graph_file
from edge_potion.errors import EdgePotionError
from edge_potion.onnx_file import check_onnx
from edge_potion.static_model import StaticModel, write_model_files

from .configurations import Configuration, Setting
from .environments import RUNNERS, Missing, environment_folder, python_of, script_command

__all__ = ["BASELINE", "PEERS", "Peer", "peer_configurations", "peers_environments"]

TRANSFORMER_TOKENS = 256  # where all-MiniLM-L6-v2 cuts
NEVER_CUT = 1_000_000  # tokens: where a model cuts no text
WRITING_MINUTES = 10  # an ONNX file of a peer; what takes longer hangs
WRITER = "sentence-transformers"  # the environment in which write_peer_onnx.py runs: it has torch


@dataclass(frozen=True)
class Model:
    """What peers are given: the bundle's model, and the bundle."""

    static: StaticModel
    bundle: Bundle


@dataclass(frozen=True)
class Prepared:
    """What a peer runs: the file that holds its table, and what its job holds beyond what all jobs hold."""

    file: Path
    job: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """A library, or another model, beside ours.

    Attributes:
        name, precision: as the report has them.
        runner: `runners/run_RUNNER.py` runs it, in the environment of that script.
        prepare: makes the file that it runs.
        same_model: whether its vectors are to be ours, so that the golden texts can tell.
        writer: the environment that makes its file; None where ours does.
    """

    name: str
    precision: str
    runner: str
    prepare: Callable[[Model, str, Setting], Prepared]
    same_model: bool = True
    writer: str | None = None

    @property
    def label(self) -> str:
        """By which users ask for it."""
        return f"{self.name} {self.precision}"


def peer_configurations(labels: Sequence[str], bundle: Bundle, setting: Setting) -> Iterator[Configuration]:
    """Peers on the table of `bundle`, at each number of threads."""
    model = Model(StaticModel.from_pretrained(bundle.folder), bundle)
    for label in labels:
        peer = PEERS[label]
        configuration = Configuration(
            name=label,
            model=peer.name,
            runner=peer.runner,
            peer=True,
            graph=None,
            precision=peer.precision,
            provider="cpu",
            threads=setting.threads[0],
        )
        try:
            command = script_command(peer.runner, setting.pythons)
            prepared = peer.prepare(model, peer.precision, setting)
        except (Missing, EdgePotionError) as reason:
            yield replace(configuration, reason=str(reason))
            continue
        for threads in setting.threads:
            yield replace(
                configuration,
                name=f"{label} x{threads}",
                threads=threads,
                command=command,
                job={"file": str(prepared.file), "folder": str(prepared.file.parent), **prepared.job},
                size_bytes=prepared.file.stat().st_size,
                golden=bundle if peer.same_model else None,
            )


def peers_environments(labels: Sequence[str]) -> list[str]:
    """Names of the environments that these need."""
    peers = [PEERS[label] for label in labels]
    names = [name for peer in peers for name in (peer.runner, peer.writer) if name]
    return list(dict.fromkeys(names))


def _table(model: Model, precision: str, setting: Setting) -> Prepared:
    """A model folder with the bundle's table at `precision`, as model2vec itself would write it.

    Raises:
        Missing: the model has phrases, which those who read tables know nothing of.
    """
    if model.static.phrases:
        raise Missing(f"it knows no phrases, and {model.bundle.folder.name} has {len(model.static.phrases):,}")
    folder = setting.scratch / f"table-{precision}"
    if not folder.exists():
        folder.mkdir(parents=True)
        write_model_files(folder, model.static, {"embeddings": model.static.table.astype(np.dtype(precision))})
    return Prepared(folder / "model.safetensors")


def _uncut_table(model: Model, precision: str, setting: Setting) -> Prepared:
    """The same folder with a tokenizer that cuts no text, for libraries that do so themselves; and where to cut."""
    folder = setting.scratch / f"uncut-table-{precision}"
    if not folder.exists():
        shutil.copytree(_table(model, precision, setting).file.parent, folder)
        model.static.tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer = str(folder / "tokenizer.json")
    most = model.bundle.max_tokens or NEVER_CUT
    return Prepared(folder / "model.safetensors", {"tokenizer": tokenizer, "max_tokens": most})


def _our_tokens(model: Model, precision: str, setting: Setting) -> Prepared:
    """The bundle's tokens graph, or one that is exported for the occasion."""
    folder = model.bundle.folder
    if ("tokens", precision) not in model.bundle.graphs:
        folder = setting.scratch / "tokens"
        edge_potion.export(model.static, folder, quantize=[precision], graphs=["tokens"])
    name = graph_file("tokens", precision)
    check_onnx(folder / name)
    return Prepared(folder / name, {"folder": str(folder), "model_file": name, "dim": model.bundle.dim})


def _model2vec_onnx(model: Model, precision: str, setting: Setting) -> Prepared:
    """model2vec's own export of the bundle's table."""
    table = _table(model, precision, setting).file
    with table.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    out = environment_folder(WRITER) / f"model2vec-onnx-{digest}"
    max_tokens = model.bundle.max_tokens or NEVER_CUT
    return _written_onnx("model2vec", table.parent, out, setting, max_tokens=max_tokens, special=False)


def _transformer_onnx(model: Model, precision: str, setting: Setting) -> Prepared:
    """The whole teacher, whatever the bundle holds."""
    out = environment_folder(WRITER) / "all-MiniLM-L6-v2-onnx"
    return _written_onnx("transformer", Path(), out, setting, max_tokens=TRANSFORMER_TOKENS, special=True)


def _written_onnx(kind: str, source: Path, out: Path, setting: Setting, *, max_tokens: int, special: bool) -> Prepared:
    """What write_peer_onnx.py writes; made once, and kept beside the environment that wrote it."""
    file = out / "model.onnx"
    if not file.is_file():
        print(f"writing the ONNX file of {out.name} (once)", file=sys.stderr, flush=True)
        python = python_of(WRITER, setting.pythons)
        beside = out.with_name(f"{out.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        command = [str(python), "-P", str(RUNNERS / "write_peer_onnx.py"), kind, str(source), str(beside)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * WRITING_MINUTES)
            if done.returncode:
                raise Missing(f"its ONNX file could not be written: {_last_line(done.stderr)}")
            if not file.is_file():  # another run may have been first
                shutil.rmtree(out, ignore_errors=True)
                beside.rename(out)
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Missing(f"its ONNX file could not be written: {failure}") from failure
    return Prepared(file, {"tokenizer": str(out / "tokenizer.json"), "max_tokens": max_tokens, "special": special})


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


BASELINE = "model2vec float32"  # the peer that ratios are to
PEERS: Mapping[str, Peer] = {
    peer.label: peer
    for peer in (
        Peer("model2vec", "float32", "model2vec", _table),
        Peer("model2vec", "float16", "model2vec", _table),
        Peer("model2vec ONNX", "float32", "onnx", _model2vec_onnx, writer=WRITER),
        Peer("sentence-transformers", "float32", "sentence-transformers", _table),
        Peer("fastembed", "int8", "fastembed", _our_tokens),
        Peer("fastembed static", "float32", "fastembed", _table),
        Peer("laghu", "float32", "laghu", _uncut_table),
        Peer("static-embed-runner", "float32", "static-embed-runner", _table),
        Peer("tokie and numpy", "float32", "tokie", _uncut_table),
        Peer("all-MiniLM-L6-v2 ONNX", "float32", "onnx", _transformer_onnx, same_model=False, writer=WRITER),
    )
}
