"""`edge-potion verify`: are a bundle's files whole, and does this machine compute what the oracle computed?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_potion.bundle import PRECISIONS, open_bundle
from edge_potion.errors import EdgePotionError, ModelFormatError, ParityError, ProviderError
from edge_potion.golden import check_parity, cosines, read_golden
from edge_potion.manifest import check_files, read_manifest
from edge_potion.providers import candidates
from edge_potion.runtime import EdgeModel

__all__ = ["Verdict", "verify"]


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
    yield _files(folder)
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
        else:
            least = cosines(vectors, replayed.vectors).min()
            yield Verdict(what, True, f"{len(vectors)} texts on {model.provider}, least cosine {least:.6f}")


def _files(folder: Path) -> Verdict:
    try:
        sums = read_manifest(folder)
        check_files(folder, sums, sums)
    except EdgePotionError as reason:
        return Verdict("files", False, str(reason))
    if not sums:
        return Verdict("files", None, "not tried: the bundle has no manifest.json; export it again to get one")
    return Verdict("files", True, f"{len(sums)} files are as they were exported")
