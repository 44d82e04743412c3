"""golden.json: texts, their ids, the float32 oracle's vectors and tolerances; and holding other vectors to them.

No text that is compared holds NUL, which stands between texts where they are joined. Older files hold
two such texts; every reader leaves them out, so that one check has one count: 216 texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import ModelFormatError, ParityError
from edge_potion.find import read_json
from edge_potion.golden_head import GoldenHead, head_from_json

__all__ = ["TOLERANCES", "UNIT_LENGTH", "ZERO_LENGTH", "Golden", "Tolerance", "check_parity", "cosines", "read_golden"]

GOLDEN_FILE = "golden.json"
GOLDEN_FORMAT = 1
LONG_TEXT = 128
SHORT_TEXT = 4  # known tokens; below it a vector hangs on one or two rows, and on how these were rounded
SHORT_LENGTH = 0.2  # of the longest vector
# By how much the length of a vector may be off where vectors have unit length, at every precision: a processor that
# computes in 16 bits strays by a tenth of it, and a score by no more than a cosine may.
UNIT_LENGTH = 1e-3
ZERO_LENGTH = 0.01  # a shorter vector of unit length counts as zero: its sum did (static_model.NORM_EPS)
WORST_SHOWN = 3


@dataclass(frozen=True)
class Tolerance:
    """How far the vectors of a precision may be from the oracle's; a bound that is None is not asked for.

    Attributes:
        max_abs_diff: largest difference of any value; of vectors that have no unit length, over the largest value
            of them all. For texts of more than LONG_TEXT tokens it grows with the tokens: a float32 sum rounds as
            often as it has terms, to one side when they are the same, by up to 2^-24 each.
        norm: largest relative difference of a vector's length, which a cosine does not see; asked for where vectors
            have no unit length (where they have, Golden.unit_length is).
        median_cosine: least median cosine.
        cosine: least cosine of a text of SHORT_TEXT or more known tokens.
        short_cosine: least cosine of a shorter text.
    """

    max_abs_diff: float | None = None
    median_cosine: float | None = None
    cosine: float | None = None
    short_cosine: float | None = None
    norm: float | None = None


TOLERANCES = {
    "float32": Tolerance(max_abs_diff=1e-6),
    "float16": Tolerance(median_cosine=0.99999, cosine=0.99999, short_cosine=0.99999, norm=0.001),
    "int8": Tolerance(median_cosine=0.9999, cosine=0.9995, short_cosine=0.995, norm=0.02),
}


@dataclass(frozen=True)
class Golden:
    """The oracle's answers for one model.

    Attributes:
        texts: N texts, without NUL.
        ids: ids of each, [UNK] among them, cut at the model's limit.
        vectors: (N, D) float32 of the float32 oracle.
        known: (N,) int64, tokens of each that count (all but [UNK]).
        normalize: whether vectors have unit length.
        tolerance: how far each precision may stray.
        unit_length: where vectors have unit length, by how much a length may be off, at every precision.
        head: what a classifier should answer.
    """

    texts: Sequence[str]
    ids: Sequence[list[int]]
    vectors: np.ndarray
    known: np.ndarray
    normalize: bool
    tolerance: Mapping[str, Tolerance] = field(default_factory=lambda: TOLERANCES)
    unit_length: float = UNIT_LENGTH
    head: GoldenHead | None = None

    def at(self, places: Sequence[int]) -> Golden:
        """The texts at `places` alone."""
        texts = [self.texts[place] for place in places]
        ids = [self.ids[place] for place in places]
        head = self.head and self.head.at(places)
        return replace(self, texts=texts, ids=ids, vectors=self.vectors[places], known=self.known[places], head=head)


def read_golden(folder: Path) -> Golden:
    """What a bundle's golden.json holds, without texts that hold NUL.

    Raises:
        ModelFormatError: it is missing, of another format, or inconsistent.
    """
    file = folder / GOLDEN_FILE
    content = read_json(file)
    if content.get("format") != GOLDEN_FORMAT:
        raise ModelFormatError(f"{file}: format is {content.get('format')!r}; {GOLDEN_FORMAT} was expected")
    try:
        texts, ids = content["texts"], content["ids"]
        vectors = np.array(content["vectors"], np.float32)  # (N, D)
        known = np.array(content["known_tokens"], np.int64)  # (N,)
        tolerance = {precision: Tolerance(**bounds) for precision, bounds in content["tolerance"].items()}
        unit_length = content.get("unit_length", UNIT_LENGTH)  # older files do not tell
        head = head_from_json(content["classifier"]) if "classifier" in content else None
        fits = (
            isinstance(texts, list)
            and len(texts) == len(ids) == len(vectors) == len(known) > 0
            and vectors.ndim == 2
            and known.ndim == 1
            and bool(np.isfinite(vectors).all())
            and all(isinstance(text, str) and text.encode("utf-8") is not None for text in texts)  # no lone surrogate
            and all(type(token) is int and token >= 0 for row in ids for token in row)
            and type(content["normalize"]) is bool
            and all(_is_bound(bound) for each in tolerance.values() for bound in vars(each).values())
            and all(any(bound is not None for bound in vars(each).values()) for each in tolerance.values())
            and type(unit_length) is float
            and 0 <= unit_length <= 1
            and (head is None or len(head.decided) == len(texts))
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as failure:
        raise ModelFormatError(f"{file} is damaged ({failure}); export the bundle again") from failure
    if not fits:
        raise ModelFormatError(f"{file} is damaged: its texts, ids and vectors do not fit; export the bundle again")
    golden = Golden(texts, ids, vectors, known, content["normalize"], tolerance, unit_length, head)
    joinable = [place for place, text in enumerate(texts) if "\0" not in text]
    if not joinable:
        raise ModelFormatError(f"{file} holds no text without NUL; export the bundle again")
    return golden if len(joinable) == len(texts) else golden.at(joinable)


def _is_bound(bound: Any) -> bool:
    return bound is None or (type(bound) in (int, float) and 0 <= bound <= 1)  # False of NaN


def check_parity(golden: Golden, vectors: np.ndarray, precision: str, where: str) -> None:
    """Hold `vectors` (N, D) to the oracle's: directions, and lengths.

    Raises:
        ParityError: they stray; names `where`, the worst texts, and what to do.
    """
    if vectors.shape != golden.vectors.shape or not np.isfinite(vectors).all():
        raise ParityError(f"{where}: vectors of shape {vectors.shape} or with NaN; {golden.vectors.shape} expected")
    if not len(vectors):
        raise ParityError(f"{where}: there is no golden text to compare")
    tolerance = golden.tolerance[precision]
    actual, expected = vectors.astype(np.float64), golden.vectors.astype(np.float64)  # nothing overflows
    agreement = cosines(actual, expected)  # (N,)
    if golden.normalize:
        lengths, wanted = (np.linalg.norm(rows, axis=1) for rows in (actual, expected))
        agreement[(lengths < ZERO_LENGTH) & (wanted < ZERO_LENGTH) & (wanted > 0)] = 1
    short = golden.known < SHORT_TEXT
    worst_first = np.argsort(agreement)
    failures = []
    # What is not within its bound fails, a NaN too: none can be there, and none would pass.
    if tolerance.max_abs_diff is not None:
        largest = 1.0 if golden.normalize else float(np.abs(expected).max())
        allowed = largest * np.maximum(1, golden.known / LONG_TEXT)  # (N,)
        differences = _shares(np.abs(actual - expected).max(axis=1), allowed)  # (N,)
        worst_first = np.argsort(-differences)
        if not differences.max() <= tolerance.max_abs_diff:
            failures.append(f"max abs difference {differences.max():.2g} > {tolerance.max_abs_diff:g}")
    bound = golden.unit_length if golden.normalize else tolerance.norm
    if bound is not None:
        strays = _length_strays(actual, expected, golden.normalize)
        if not strays.max() <= bound:
            failures.append(f"length of a vector off by {strays.max():.2g} > {bound:g}")
            worst_first = np.argsort(-strays)
    for name, least, some in (
        ("median cosine", tolerance.median_cosine, float(np.median(agreement))),
        ("cosine", tolerance.cosine, float(agreement[~short].min(initial=1))),
        (f"cosine under {SHORT_TEXT} tokens", tolerance.short_cosine, float(agreement[short].min(initial=1))),
    ):
        if least is not None and not some >= least:
            failures.append(f"{name} {some:.6f} < {least:g}")
    if failures:
        worst = ", ".join(f"{golden.texts[at][:40]!r} ({agreement[at]:.5f})" for at in worst_first[:WORST_SHOWN])
        hint = "; export with --quantize float16" if precision == "int8" else ""
        raise ParityError(f"{where} strays from the oracle: {', '.join(failures)}; worst {worst}{hint}")


def _length_strays(actual: np.ndarray, expected: np.ndarray, normalize: bool) -> np.ndarray:
    """(N,) by how much the lengths of vectors are off: of unit vectors as it is, of others relative."""
    lengths, wanted = (np.linalg.norm(rows, axis=1) for rows in (actual, expected))  # (N,)
    if normalize:
        return np.asarray(np.abs(lengths - wanted))
    # Short vectors are sums that cancel: they are asked for what the longest allow.
    return _shares(np.abs(lengths - wanted), np.maximum(wanted, wanted.max() * SHORT_LENGTH))


def _shares(differences: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(N,) `differences` over what each is measured by; where that is 0, none is 0 and any is inf."""
    beyond = np.where(differences > 0, np.inf, 0.0)
    return np.where(allowed > 0, differences / np.where(allowed > 0, allowed, 1), beyond)


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) float64: cosine of each pair of rows; 1 where both are zero, 0 where one is."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    both_zero = ~(a.any(axis=1) | b.any(axis=1))
    return np.where(both_zero, 1.0, (a * b).sum(axis=1) / np.where(norms > 0, norms, 1))
