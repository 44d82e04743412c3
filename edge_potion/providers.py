"""Execution providers of ONNX Runtime: which are there, choose one, and check which one really ran."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion import cpp_locale
from edge_potion.errors import FallBackError, ModelFormatError, ProviderError, require

__all__ = ["INT8_PROVIDERS", "KEY_NODES", "OpenSession", "Provider", "available", "candidates", "open_session"]

# Short name -> ONNX Runtime's name.
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "webgpu": "WebGpuExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
}
# "auto" takes the first of these that is there: whoever installed the gpu or openvino wheel wants it used. CoreML
# comes with every macOS wheel and is slower than the CPU on a table lookup, so it must be named.
AUTO_ORDER = ("cuda", "openvino", "cpu")
# Providers with MatMulInteger for uint8 x int8. CUDA's takes int8 x int8 only.
INT8_PROVIDERS = ("cpu", "openvino")
# Wheels that install the same `onnxruntime` folder, and the extra of ours that stands for each.
RUNTIME_WHEELS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu", "onnxruntime-openvino": "openvino"}
NEEDS_CUDA_LIBRARIES = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
# Nodes of our graphs that do the work; a provider ran when it ran these.
KEY_NODES = ("table", "pool")
# Of ONNX Runtime's optimizers, the one that computes nodes while a graph is loaded; ours have none that it helps.
NO_WORK_AT_LOAD = ["ConstantFolding"]


@dataclass(frozen=True)
class Provider:
    """A provider to run on.

    Attributes:
        name: short name where it has one ("cuda"), else ONNX Runtime's.
        ort_name: ONNX Runtime's name.
        options: provider options for ONNX Runtime.
    """

    name: str
    ort_name: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class OpenSession:
    """A session and what it really runs on.

    Attributes:
        session: onnxruntime.InferenceSession.
        provider: short name of the provider that runs the table lookup and the pooling.
        ran_on: names of the nodes by the short name of the provider that runs them; empty on the CPU, where there is
            no other.
        lent: what ONNX Runtime reads and does not own; it must live as long as the session.
    """

    session: Any
    provider: str
    ran_on: Mapping[str, Sequence[str]]
    lent: Any = None


def available() -> list[str]:
    """Short names of the providers that the installed onnxruntime offers ("cpu" among them).

    Raises:
        MissingExtraError: no onnxruntime is installed.
        ProviderError: two onnxruntime wheels are installed over each other.
    """
    offered = _ort().get_available_providers()
    return [name for name, ort_name in PROVIDERS.items() if ort_name in offered]


def candidates(provider: str | tuple[str, Mapping[str, Any]] = "auto") -> list[Provider]:
    """The providers to try, in order: one where it is named, and for "auto" all that are there, ending with the CPU.

    Args:
        provider: "auto", a short name such as "cuda", ONNX Runtime's own name, or (name, provider options).

    Raises:
        ProviderError: it is not offered by the installed onnxruntime.
    """
    match provider:
        case str(name):
            options: Mapping[str, Any] = {}
        case (str(name), Mapping() as options):
            pass
        case _:
            raise ProviderError(f"provider is {provider!r}; a name, or (name, options), was expected")
    offered = _ort().get_available_providers()
    if name == "auto":
        found = [Provider(each, PROVIDERS[each], options) for each in AUTO_ORDER if PROVIDERS[each] in offered]
        if not found:
            raise ProviderError(f"the installed onnxruntime offers {', '.join(offered)} alone; name one of them")
        return found
    ort_name = PROVIDERS.get(name, name)
    if ort_name not in offered:
        known = name in PROVIDERS or name in PROVIDERS.values()
        why = "is not offered by the installed onnxruntime" if known else "is unknown"
        raise ProviderError(f"provider {name!r} {why}; here there are {', '.join(available())}{_pip_hint(ort_name)}")
    return [Provider(_short(ort_name), ort_name, options)]


def open_session(
    content: bytes, tensors: Mapping[str, np.ndarray], told: str, provider: Provider, threads: int | None = None
) -> OpenSession:
    """Load a graph of ours on a provider, and check node by node that the provider took it.

    Args:
        content: an .onnx file.
        tensors: what lies elsewhere than in `content`, by name, C-contiguous: lent to the session, on the CPU alone.
        told: what errors call the graph.
        provider: one of `candidates`.
        threads: threads inside one call; None leaves it to ONNX Runtime (one a physical core).

    Raises:
        ModelFormatError: the file is no graph that ONNX Runtime loads.
        ProviderError: the provider could not be started, or left the work to another.
    """
    ort = _ort()
    if provider.ort_name in NEEDS_CUDA_LIBRARIES and hasattr(ort, "preload_dlls"):
        with redirect_stdout(sys.stderr):  # it prints what it misses, and stdout is for results
            ort.preload_dlls()  # finds CUDA's libraries in the pip wheels that the gpu extra brings
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what matters comes as an exception; the rest is noise on stderr
    options.intra_op_num_threads = threads or 0
    if provider.name != "cpu":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    lent = {}
    try:
        for name, values in tensors.items():
            lent[name] = ort.OrtValue.ortvalue_from_numpy(values)
            options.add_external_initializers([name], [lent[name]])  # or it would look for a file
            options.add_initializer(name, lent[name])  # or it would make a copy
        session = ort.InferenceSession(
            content,
            options,
            providers=_with_fall_backs(provider),
            enable_fallback=0,  # or a provider that fails, at load or in a later call, is silently replaced
            disabled_optimizers=NO_WORK_AT_LOAD,
        )
    except Exception as failure:  # onnxruntime's own exceptions share no base class
        reason = str(failure).strip().split("\n")[0]
        if provider.name != "cpu":
            raise ProviderError(f"provider {provider.name!r} cannot load {told} ({reason})") from failure
        raise ModelFormatError(f"{told} is no graph that onnxruntime {ort.__version__} loads ({reason})") from failure
    return OpenSession(session, provider.name, _checked_nodes(session, provider), lent)


def _checked_nodes(session: Any, provider: Provider) -> dict[str, list[str]]:
    """Nodes by the provider that runs them; FallBackError when the table or the pooling is not on `provider`."""
    if provider.name == "cpu":  # nothing else was registered
        return {}
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise ProviderError("only onnxruntime 1.24 and later tells which provider a node runs on; upgrade it")
    ran_on: dict[str, list[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        ran_on.setdefault(_short(part.ep_name), []).extend(node.name for node in part.get_nodes())
    home = {node: name for name, nodes in ran_on.items() for node in nodes}
    strayed = sorted({home.get(node, "no provider") for node in KEY_NODES} - {provider.name})
    if strayed:
        other = next((name for name in strayed if name in ran_on), "cpu")
        raise FallBackError(
            f"provider {provider.name!r} was asked for, and the table or the pooling runs on {', '.join(strayed)}; "
            f"use provider={other!r}, or 'auto' to take what works",
            ran_on,
        )
    return ran_on


def _with_fall_backs(provider: Provider) -> list[Any]:
    """What ONNX Runtime wants: the provider, then those that may take the nodes it cannot run."""
    chosen = (provider.ort_name, dict(provider.options))
    after = {"tensorrt": ["CUDAExecutionProvider", "CPUExecutionProvider"], "cpu": []}
    return [chosen, *after.get(provider.name, ["CPUExecutionProvider"])]


def _short(ort_name: str) -> str:
    return next((name for name, full in PROVIDERS.items() if full == ort_name), ort_name)


def _pip_hint(ort_name: str) -> str:
    extra = {
        "CUDAExecutionProvider": "gpu",
        "TensorrtExecutionProvider": "gpu",
        "OpenVINOExecutionProvider": "openvino",
    }.get(ort_name)
    installed = _installed_wheels()
    if not extra or RUNTIME_WHEELS.get(installed[0] if installed else "onnxruntime") == extra:
        return ""  # it is the wheel that should have it
    return f" (pip uninstall {installed[0] if installed else 'onnxruntime'}; pip install 'edge-potion[{extra}]')"


def _ort() -> Any:
    """The onnxruntime module, once it is sure that there is exactly one."""
    require("onnxruntime", extra="cpu", purpose="running a model")
    installed = _installed_wheels()
    if len(installed) > 1:
        raise ProviderError(
            f"{' and '.join(installed)} are installed over each other, and one has overwritten the other's files: "
            f"pip uninstall -y {' '.join(installed)}; pip install 'edge-potion[{RUNTIME_WHEELS[installed[-1]]}]'"
        )
    _refuse_broken_cpp_library()
    import onnxruntime

    return onnxruntime


def _refuse_broken_cpp_library() -> None:
    """ProviderError where importing onnxruntime would be a segmentation fault."""
    if "onnxruntime" in sys.modules:
        return
    copies = cpp_locale.settle()
    if copies:
        raise ProviderError(
            f"{' and '.join(copies)} came first and broke the C++ library that onnxruntime needs, which would end this "
            "process: start it again with `from edge_potion import EdgeModel` before everything else"
        )


def _installed_wheels() -> list[str]:
    """Those of RUNTIME_WHEELS that lie where onnxruntime is imported from.

    importlib.metadata would tell too, and costs a tenth of the whole time to the first vector.
    """
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return []
    site = Path(spec.origin).parents[1]
    found = {folder.name.split("-")[0].replace("_", "-") for folder in site.glob("onnxruntime*.dist-info")}
    return [wheel for wheel in RUNTIME_WHEELS if wheel in found]
