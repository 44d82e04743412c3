"""What a benchmark measures of ours: each graph and precision of the bundles, by engine, provider and threads."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

import edge_potion
from edge_potion.bundle import Bundle
from edge_potion.errors import InputError
from edge_potion.onnx_file import check_onnx
from edge_potion.providers import PROVIDERS as ORT_PROVIDERS
from edge_potion.providers import available

from .environments import JAVASCRIPT, RUNNERS, Missing, javascript_folder, script_command
from .report.values import Engine

__all__ = [
    "KNOWN_PROVIDERS",
    "PROVIDERS",
    "Configuration",
    "Setting",
    "bundles_configurations",
    "package_alone",
    "providers_environments",
]

OPENVINO = "openvino"  # its wheel excludes the CPU's, so it has an environment of its own
PROVIDERS = ("cpu", OPENVINO, "node", "wasm", "webgpu", "cuda", "tensorrt")  # what "all" stands for
BY_THREADS = ("cpu", "wasm", OPENVINO)  # a GPU has threads of its own, and Node's threads are the CPU's once more


@dataclass(frozen=True)
class Script:
    """How ONNX Runtime's JavaScript packages run a provider: a file of `runners/node/`, and what it is asked for."""

    name: str
    provider: str


IN_JAVASCRIPT = {
    "node": Script("node", provider="cpu"),
    "wasm": Script("web", provider="wasm"),
    "webgpu": Script("web", provider="webgpu"),
}
KNOWN_PROVIDERS = (*ORT_PROVIDERS, *(name for name in IN_JAVASCRIPT if name not in ORT_PROVIDERS))


@dataclass(frozen=True)
class Configuration:
    """One row of the report.

    Attributes:
        name: unique.
        model: name of the bundle, or of the peer.
        runner: what runs it: "edge-potion", "onnxruntime-node", "onnxruntime-web" or a peer's.
        peer: whether it is a peer.
        graph, precision, provider, threads: as asked for.
        engine: of ours, what runs the graph: "native" or "onnxruntime".
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
    engine: Engine | None = None
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
        pythons: interpreter for a provider or a peer's runner, by its name, where it is not the one we build.
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
    """Each graph and precision that a bundle holds, in each engine that runs it, on each provider, by threads.

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
    script = IN_JAVASCRIPT.get(provider) if provider not in setting.pythons else None
    configuration = Configuration(
        name=f"{name} {provider}",
        model=name,
        runner=f"onnxruntime-{script.name}" if script else "edge-potion",
        peer=False,
        graph=None,
        precision=None,
        provider=provider,
        threads=setting.threads[0],
    )
    try:
        command = ["node", str(javascript_folder() / f"{script.name}.mjs")] if script else _python(provider, setting)
    except Missing as reason:
        yield replace(configuration, reason=str(reason))
        return
    for graph, precision in held:
        file = bundle.graphs[graph, precision]
        check_onnx(bundle.check(file))  # not every runner is EdgeModel, which does so itself
        job = {
            "folder": str(bundle.folder.resolve()),
            "file": str(file.resolve()),
            "provider": script.provider if script else provider,
            "package": str(package_alone(setting.scratch)),
            "classifier": bundle.labels is not None,
        }
        counts = setting.threads if provider in BY_THREADS else setting.threads[:1]
        for engine, threads in product(_engines(graph, provider), counts):
            on = f"{provider} {engine}" if engine == "native" else provider
            yield replace(
                configuration,
                name=f"{name} {graph} {precision} {on} x{threads}",
                graph=graph,
                precision=precision,
                engine=engine,
                threads=threads,
                command=command,
                job={**job, "engine": engine},
                size_bytes=file.stat().st_size,
                golden=bundle,
            )


def _engines(graph: str, provider: str) -> Sequence[Engine]:
    """What can run a graph, first what EdgeModel takes by itself.

    ONNX Runtime stands in no row's name: so a row is compared with that of a time when there was no other.
    """
    return ("native", "onnxruntime") if (graph, provider) == ("text", "cpu") else ("onnxruntime",)


def _python(provider: str, setting: Setting) -> list[str]:
    """What starts EdgeModel: in our own environment, but for an interpreter that is named, and for OpenVINO."""
    if _needs_an_environment(provider):
        return script_command(provider, setting.pythons)
    python = setting.pythons.get(provider, Path(sys.executable))
    return [str(python), "-P", str(RUNNERS / "run_edge_potion.py")]


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


def providers_environments(providers: Sequence[str]) -> list[str]:
    """Names of the environments that these need beside our own."""
    names = [provider for provider in providers if _needs_an_environment(provider)]
    return names + [JAVASCRIPT] * any(provider in IN_JAVASCRIPT for provider in providers)


def _needs_an_environment(provider: str) -> bool:
    return provider == OPENVINO and OPENVINO not in available()
