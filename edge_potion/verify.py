"""`edge-potion verify`: are a bundle's files whole, and does this machine compute what the oracle computed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_potion.bundle import PRECISIONS, Bundle, open_bundle
from edge_potion.errors import ModelFormatError, ParityError, ProviderError
from edge_potion.golden import check_parity, cosines, read_golden
from edge_potion.manifest import check_files
from edge_potion.providers import candidates
from edge_potion.runtime import EdgeModel

__all__ = ["Verdict", "verify"]

NEEDED = ("config.json", "golden.json", "model.safetensors", "tokenizer.json")  # where they are there
CARD = "README.md"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        what: "files", or graph and precision.
        passed: None where it could not be tried here.
        told: one line.
    """

    what: str
    passed: bool | None
    told: str


def verify(folder: Path, provider: str = "cpu") -> Iterator[Verdict]:
    """Check the files, then replay golden.json through every graph and precision on `provider`, one after another.

    Raises:
        ModelFormatError: the folder is no bundle.
        ProviderError: there is no such provider here.
    """
    candidates(provider)  # one that is not here at all is an error, and no check that was left out
    bundle = open_bundle(folder)
    yield _files(bundle)
    golden = read_golden(folder)
    for graph, precision in sorted(bundle.graphs, key=lambda item: list(PRECISIONS).index(item[1])):
        what = f"{graph} {precision}"
        # NUL stands between the texts of that graph, and never in one.
        replayed = golden.at([at for at, text in enumerate(golden.texts) if graph != "text" or "\0" not in text])
        try:
            model = EdgeModel.from_pretrained(folder, provider=provider, precision=precision, graph=graph)
            vectors = model.encode(replayed.texts)
            if precision not in replayed.tolerance:
                raise ModelFormatError(f"golden.json tells no tolerance for {precision}")
            check_parity(replayed, vectors, precision, what)
        except ProviderError as reason:
            yield Verdict(what, None, f"not tried: {reason}")
        except (ParityError, ModelFormatError) as reason:
            yield Verdict(what, False, str(reason))
        except Exception as failure:  # whatever ONNX Runtime raises here is what this device does with the graph
            words = str(failure).strip().splitlines() or ["no reason given"]
            yield Verdict(what, False, f"{type(failure).__name__}: {words[0][:300]}")
        else:
            least = cosines(vectors, replayed.vectors).min()
            yield Verdict(what, True, f"{len(vectors)} texts on {model.provider}, least cosine {least:.6f}")


def _files(bundle: Bundle) -> Verdict:
    """Whether the files that are here are those that were exported; what was left out on purpose is only told."""
    folder, sums = bundle.folder, bundle.sums
    if not sums:
        return Verdict("files", None, "not tried: the bundle has no manifest.json; export it again to get one")
    graphs = [file.relative_to(folder).as_posix() for file in bundle.graphs.values()]
    unnamed = [name for name in (*NEEDED, *graphs) if (folder / name).exists() and name not in sums]
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
    remarks = [f"{len(sums) - len(here)} more are not here"] * (len(here) < len(sums))
    remarks += [f"{name} was edited" for name in changed]
    return Verdict("files", True, "; ".join([f"{len(here) - len(changed)} are as they were exported", *remarks]))
