"""`edge-potion verify`: are a bundle's files whole, and does this machine compute what the oracle computed?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge_potion.bundle import PRECISIONS, Bundle, open_bundle
from edge_potion.errors import MissingExtraError, ModelFormatError, ParityError, ProviderError
from edge_potion.find import find_folder
from edge_potion.golden import Golden, check_parity, cosines, read_golden
from edge_potion.golden_head import check_decisions
from edge_potion.golden_runs import head_outputs, run_golden
from edge_potion.graph_parts import VECTORS
from edge_potion.manifest import check_files
from edge_potion.ort_files import OrtFile, ort_files
from edge_potion.providers import candidates
from edge_potion.runtime import EdgeModel

__all__ = ["Verdict", "verify"]

# Where they are there.
NEEDED = (
    *("config.json", "golden.bin", "golden.json", "tokenizer.json"),
    *("head.safetensors", "model.safetensors", "phrases.safetensors"),
)
CARD = "README.md"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        what: "files", or graph and precision, with "native" where that engine ran it, and ".ort" where it is a file of
            mobile/.
        passed: None where it could not be tried here.
        message: one line.
    """

    what: str
    passed: bool | None
    message: str


def verify(model: str | Path | None = None, provider: str = "cpu") -> Iterator[Verdict]:
    """Check the files, then replay golden.json through every graph and precision on `provider`, one after another; on
    the CPU also the text graph through the native engine, and the .ort files of mobile/, where there are any.

    Args:
        model: a bundle's folder or hub id; by default the model that comes with edge-potion.
        provider: where to run: "cpu", "cuda", "openvino", ...

    Raises:
        InputError: there is no such model.
        ModelFormatError: the folder is no bundle.
        ProviderError: there is no such provider here.
    """
    folder = find_folder(model)
    if provider != "cpu":
        candidates(provider)  # one that is not here at all is an error, and no check that was left out
    bundle = open_bundle(folder)
    yield _files(bundle)
    golden = read_golden(folder)
    if bundle.labels != (golden.head and golden.head.labels):
        raise ModelFormatError(f"{folder}: golden.json and config.json are not of the same labels; export it again")
    for graph, precision in sorted(bundle.graphs, key=lambda item: list(PRECISIONS).index(item[1])):
        run = partial(_graph_vectors, folder, golden, graph, precision, provider)
        if graph == "text" and provider == "cpu":
            yield _replayed(f"{graph} {precision} native", precision, partial(run, "native"))
        yield _replayed(f"{graph} {precision}", precision, partial(run, "onnxruntime"))
    for held in ort_files(folder):
        what = f"{held.graph} {held.precision} .ort"
        if provider != "cpu":
            yield Verdict(what, None, "not tried: .ort files are replayed on the cpu alone")
        else:
            yield _replayed(what, held.precision, partial(_ort_vectors, bundle, held, golden))


@dataclass(frozen=True)
class _Replayed:
    """Vectors (N, D) of the golden texts, what a head gave beside them, and where they were computed."""

    golden: Golden
    vectors: np.ndarray
    decisions: Mapping[str, np.ndarray]
    provider: str


def _graph_vectors(folder: Path, golden: Golden, graph: str, precision: str, provider: str, engine: str) -> _Replayed:
    model = EdgeModel.from_pretrained(folder, provider=provider, precision=precision, graph=graph, engine=engine)
    return _Replayed(golden, model.encode(golden.texts, prompt=""), head_outputs(model, golden), model.provider)


def _ort_vectors(bundle: Bundle, held: OrtFile, golden: Golden) -> _Replayed:
    bundle.check(held.file)
    golden, outputs = run_golden(held, golden)
    return _Replayed(golden, outputs.pop(VECTORS), outputs, "cpu")


def _replayed(what: str, precision: str, run: Callable[[], _Replayed]) -> Verdict:
    """What becomes of the golden texts, on one line."""
    try:
        replayed = run()
        if precision not in replayed.golden.tolerance:
            raise ModelFormatError(f"golden.json tells no tolerance for {precision}")
        check_parity(replayed.golden, replayed.vectors, precision, what)
        stray = None
        if replayed.golden.head and replayed.decisions:
            stray = check_decisions(replayed.golden.head, replayed.golden.texts, replayed.decisions, precision, what)
    except (ProviderError, MissingExtraError) as reason:
        return Verdict(what, None, f"not tried: {reason}")
    except (ParityError, ModelFormatError) as reason:
        return Verdict(what, False, str(reason))
    except Exception as failure:  # whatever ONNX Runtime raises here is what this device does with the graph
        words = str(failure).strip().splitlines() or ["no reason given"]
        return Verdict(what, False, f"{type(failure).__name__}: {words[0][:300]}")
    least = cosines(replayed.vectors, replayed.golden.vectors).min()
    told = "" if stray is None else f", labels agree, probabilities within {stray:.1g}"
    return Verdict(what, True, f"{len(replayed.vectors)} texts on {replayed.provider}, least cosine {least:.6f}{told}")


def _files(bundle: Bundle) -> Verdict:
    """Whether the files that are here are those that were exported; what was left out on purpose is only told."""
    folder, sums = bundle.folder, bundle.sums
    if not sums:
        return Verdict("files", None, "not tried: the bundle has no manifest.json; export it again to get one")
    graphs = [*bundle.graphs.values(), *(held.file for held in ort_files(folder))]
    names = [file.relative_to(folder).as_posix() for file in graphs]
    unnamed = [name for name in (*NEEDED, *names) if (folder / name).exists() and name not in sums]
    if unnamed:
        return Verdict("files", False, f"manifest.json does not name {', '.join(unnamed)}")
    here = [name for name in sums if (folder / name).exists()]
    changed = []
    for name in here:
        try:
            check_files(folder, sums, [name])
        except ModelFormatError as reason:
            if name != CARD:  # its owner may write there
                return Verdict("files", False, str(reason))
            changed.append(name)
    remarks = [f"the model has {bundle.phrases:,} phrases"] * bool(bundle.phrases)
    remarks += [f"{len(sums) - len(here)} more are not here"] * (len(here) < len(sums))
    remarks += [f"{name} was edited" for name in changed]
    return Verdict("files", True, "; ".join([f"{len(here) - len(changed)} are as they were exported", *remarks]))
