"""What a benchmark measures: every graph, precision and provider of the bundles, and peers on the first one's table."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import edge_potion
from edge_potion.bundle import Bundle, graph_file
from edge_potion.errors import EdgePotionError, InputError
from edge_potion.onnx_file import check_onnx
from edge_potion.providers import PROVIDERS as ORT_PROVIDERS
from edge_potion.static_model import StaticModel, write_model_files

from .environments import JAVASCRIPT as JAVASCRIPT_ENVIRONMENT
from .environments import RUNNERS as RUNNERS_FOLDER
from .environments import Missing, environment_folder, javascript_folder, python_of

__all__ = [
    "BASELINE",
    "INTERPRETED",
    "KNOWN_PROVIDERS",
    "PEERS",
    "PROVIDERS",
    "Configuration",
    "Setting",
    "bundles_configurations",
    "environments_for",
    "package_alone",
    "peer_configurations",
]

# Providers that ONNX Runtime's JavaScript packages bring: runner, and what the runner is asked for.
JAVASCRIPT = {"node": ("node", "cpu"), "wasm": ("web", "wasm"), "webgpu": ("web", "webgpu")}
PROVIDERS = ("cpu", "openvino", "node", "wasm", "webgpu", "cuda", "tensorrt")  # what "all" stands for
KNOWN_PROVIDERS = (*ORT_PROVIDERS, *(name for name in JAVASCRIPT if name not in ORT_PROVIDERS))
BASELINE = "model2vec float32"  # the peer that ratios are to
PEERS = (
    BASELINE,
    "model2vec float16",
    "model2vec ONNX float32",
    "sentence-transformers float32",
    "fastembed int8",
    "all-MiniLM-L6-v2 ONNX float32",
)
TRANSFORMER_TOKENS = 256  # where all-MiniLM-L6-v2 cuts
WRITING_MINUTES = 10  # an ONNX file of a peer; what takes longer hangs


@dataclass(frozen=True)
class Configuration:
    """One row of the report.

    Attributes:
        name: unique.
        model: name of the bundle, or of the peer.
        runner: what runs it: "edge-potion", "onnxruntime-node", "onnxruntime-web" or a peer.
        peer: whether it is a peer.
        graph, precision, provider, threads: as asked for.
        command: what is started, with a job as its last argument; empty where it cannot be.
        job: what the job holds beyond what all jobs hold.
        size_bytes: of the file that holds the table.
        reason: why it cannot run; None where it can.
        golden: the bundle whose golden texts it answers; None where it is another model.
    """

    name: str
    model: str
    runner: str
    peer: bool
    graph: str | None
    precision: str | None
    provider: str
    threads: int
    command: Sequence[str] = ()
    job: Mapping[str, Any] = field(default_factory=dict)
    size_bytes: int | None = None
    reason: str | None = None
    golden: Bundle | None = None

    @property
    def in_browser(self) -> bool:
        """Whether Chromium runs it."""
        return self.runner == "onnxruntime-web"

    @property
    def cores(self) -> int:
        """On how many it runs: a browser's own processes, and its compiler, need one beside."""
        return self.threads + self.in_browser


@dataclass(frozen=True)
class Setting:
    """What the configurations are made from.

    Attributes:
        threads: each count that is measured.
        pythons: interpreter for an environment, by its name or the provider's, where it is not the one we build.
        scratch: an empty folder for what peers need.
    """

    threads: Sequence[int]
    pythons: Mapping[str, Path]
    scratch: Path


def bundles_configurations(
    bundles: Sequence[Bundle],
    providers: Sequence[str],
    graphs: Sequence[str],
    precisions: Sequence[str],
    setting: Setting,
) -> Iterator[Configuration]:
    """Each graph and precision that a bundle holds, on each provider, at each number of threads.

    Raises:
        InputError: a bundle holds none of them, or two bundles have one name.
        ModelFormatError: a graph's file is damaged, or no graph of ours.
    """
    names = [bundle.folder.resolve().name for bundle in bundles]
    if len(set(names)) < len(names):
        raise InputError(f"two bundles have one name: {', '.join(names)}; rename one")
    for bundle, name in zip(bundles, names, strict=True):
        held = [(graph, precision) for graph, precision in bundle.graphs if graph in graphs and precision in precisions]
        if not held:
            raise InputError(f"{bundle.folder} holds none of {', '.join(graphs)} at {', '.join(precisions)}")
        for provider in providers:
            yield from _on_provider(bundle, name, provider, held, setting)


def _on_provider(
    bundle: Bundle, name: str, provider: str, held: Sequence[tuple[str, str]], setting: Setting
) -> Iterator[Configuration]:
    in_javascript = provider in JAVASCRIPT and provider not in setting.pythons
    runner = f"onnxruntime-{JAVASCRIPT[provider][0]}" if in_javascript else "edge-potion"
    try:
        command = _javascript_command(provider) if in_javascript else _python_command(provider, setting)
    except Missing as reason:
        yield Configuration(
            f"{name} {provider}", name, runner, False, None, None, provider, setting.threads[0], reason=str(reason)
        )
        return
    for graph, precision in held:
        file = bundle.graphs[graph, precision]
        check_onnx(bundle.check(file))  # not every runner is EdgeModel, which does so itself
        job = {
            "runner": runner if not in_javascript else JAVASCRIPT[provider][0],
            "folder": str(bundle.folder.resolve()),
            "file": str(file.resolve()),
            "provider": JAVASCRIPT[provider][1] if in_javascript else provider,
            "package": str(package_alone(setting.scratch)),
        }
        # A GPU has threads of its own, and Node's threads are the CPU's once more.
        for threads in setting.threads if provider in ("cpu", "wasm", "openvino") else setting.threads[:1]:
            yield Configuration(
                f"{name} {graph} {precision} {provider} x{threads}",
                *(name, runner, False, graph, precision, provider, threads),
                command=command,
                job=job,
                size_bytes=file.stat().st_size,
                golden=bundle,
            )


def _python_command(provider: str, setting: Setting) -> list[str]:
    """OpenVINO's wheel excludes the CPU's, so it has an environment of its own; the others run in ours."""
    python: Path | str = sys.executable
    if provider in setting.pythons or (provider == "openvino" and not _offered_here(provider)):
        python = python_of(provider, setting.pythons)
    return [str(python), "-P", str(RUNNERS_FOLDER / "worker.py")]


def _offered_here(provider: str) -> bool:
    from edge_potion.providers import available

    return provider in available()


def _javascript_command(provider: str) -> list[str]:
    return ["node", str(javascript_folder() / f"{JAVASCRIPT[provider][0]}.mjs")]


def package_alone(scratch: Path) -> Path:
    """A folder that holds the package edge_potion and nothing else: what lies beside it here may be another onnxruntime
    than that of the environment it is imported in."""
    alone = scratch / "package"
    if not alone.exists():
        alone.mkdir(parents=True)
        package = Path(edge_potion.__file__).parent
        try:
            (alone / "edge_potion").symlink_to(package, target_is_directory=True)
        except OSError:  # no right to make links, as on Windows
            shutil.copytree(package, alone / "edge_potion")
    return alone


def peer_configurations(peers: Sequence[str], bundle: Bundle, setting: Setting) -> Iterator[Configuration]:
    """Peers on the table of `bundle`, at each number of threads."""
    model = StaticModel.from_pretrained(bundle.folder)
    for peer in peers:
        name, _, precision = peer.rpartition(" ")
        runner = RUNNERS[name]
        try:
            python = python_of(runner, setting.pythons)
            file, job = FILES[name](model, bundle, precision, setting)
        except (Missing, EdgePotionError) as reason:
            yield Configuration(
                peer, name, runner, True, None, precision, "cpu", setting.threads[0], reason=str(reason)
            )
            continue
        for threads in setting.threads:
            yield Configuration(
                f"{peer} x{threads}",
                *(name, runner, True, None, precision, "cpu", threads),
                command=[str(python), "-P", str(RUNNERS_FOLDER / "worker.py")],
                job={"runner": runner, "file": str(file), "folder": str(file.parent), **job},
                size_bytes=file.stat().st_size,
                golden=None if name.startswith("all-MiniLM") else bundle,
            )


# Which environment, and which function of worker.py, a peer runs with.
RUNNERS = {
    "model2vec": "model2vec",
    "model2vec ONNX": "onnx",
    "sentence-transformers": "sentence-transformers",
    "fastembed": "fastembed",
    "all-MiniLM-L6-v2 ONNX": "onnx",
}


def _table(model: StaticModel, bundle: Bundle, precision: str, setting: Setting) -> tuple[Path, dict[str, Any]]:
    """A model folder with the bundle's table at `precision`, as model2vec itself would write it."""
    folder = setting.scratch / f"table-{precision}"
    if not folder.exists():
        folder.mkdir(parents=True)
        write_model_files(folder, model, {"embeddings": model.table.astype(np.dtype(precision))})
    return folder / "model.safetensors", {}


def _our_tokens(model: StaticModel, bundle: Bundle, precision: str, setting: Setting) -> tuple[Path, dict[str, Any]]:
    """The bundle's tokens graph, or one that is exported for the occasion."""
    folder = bundle.folder
    if ("tokens", precision) not in bundle.graphs:
        folder = setting.scratch / "tokens"
        edge_potion.export(model, folder, quantize=[precision], graphs=["tokens"])
    name = graph_file("tokens", precision)
    check_onnx(folder / name)
    return folder / name, {"folder": str(folder), "model_file": name, "dim": bundle.dim}


def _model2vec_onnx(
    model: StaticModel, bundle: Bundle, precision: str, setting: Setting
) -> tuple[Path, dict[str, Any]]:
    table, _ = _table(model, bundle, precision, setting)
    with table.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    file = _peer_onnx("model2vec", table.parent, environment_folder(EXPORTER) / f"model2vec-onnx-{digest}", setting)
    return file, _onnx_job(file, bundle.max_tokens or 1_000_000, special=False)


def _transformer_onnx(
    model: StaticModel, bundle: Bundle, precision: str, setting: Setting
) -> tuple[Path, dict[str, Any]]:
    file = _peer_onnx("transformer", Path(), environment_folder(EXPORTER) / "all-MiniLM-L6-v2-onnx", setting)
    return file, _onnx_job(file, TRANSFORMER_TOKENS, special=True)


FILES: dict[str, Callable[[StaticModel, Bundle, str, Setting], tuple[Path, dict[str, Any]]]] = {
    "model2vec": _table,
    "model2vec ONNX": _model2vec_onnx,
    "sentence-transformers": _table,
    "fastembed": _our_tokens,
    "all-MiniLM-L6-v2 ONNX": _transformer_onnx,
}
EXPORTER = "sentence-transformers"  # the environment with torch
INTERPRETED = {*ORT_PROVIDERS, *RUNNERS.values()}  # for what an interpreter may be named


def _onnx_job(file: Path, max_tokens: int, *, special: bool) -> dict[str, Any]:
    return {"tokenizer": str(file.with_name("tokenizer.json")), "max_tokens": max_tokens, "special": special}


def _peer_onnx(kind: str, source: Path, out: Path, setting: Setting) -> Path:
    """What write_peer_onnx.py writes; made once, and kept beside the environment that wrote it."""
    if not (out / "model.onnx").is_file():
        print(f"writing the ONNX file of {out.name} (once)", file=sys.stderr, flush=True)
        python = python_of(EXPORTER, setting.pythons)
        beside = out.with_name(f"{out.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        command = [str(python), "-P", str(RUNNERS_FOLDER / "write_peer_onnx.py"), kind, str(source), str(beside)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60 * WRITING_MINUTES)
            if done.returncode:
                raise Missing(f"its ONNX file could not be written: {_last_line(done.stderr)}")
            if not (out / "model.onnx").is_file():  # another run may have been first
                shutil.rmtree(out, ignore_errors=True)
                beside.rename(out)
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise Missing(f"its ONNX file could not be written: {failure}") from failure
    return out / "model.onnx"


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "no reason given")


def environments_for(providers: Sequence[str], peers: Sequence[str]) -> list[str]:
    """Names of the environments that these need beside our own."""
    named = [name for name in providers if name == "openvino" and not _offered_here(name)]
    named += [JAVASCRIPT_ENVIRONMENT for name in providers if name in JAVASCRIPT]
    named += [RUNNERS[peer.rpartition(" ")[0]] for peer in peers]
    named += [EXPORTER for peer in peers if "ONNX" in peer]
    return list(dict.fromkeys(named))
