"""golden.bin: what golden.json holds, as one flat file for devices that read no JSON.

All numbers are little-endian, of four bytes, at multiples of four: unsigned (u32) or float32 (f32). It begins with

     0  8 bytes  "EPGOLDEN"
     8  u32      version of this format, 1
    12  u32      N, texts
    16  u32      D, width of a vector
    20  u32      1 where vectors have unit length, else 0
    24  u32      tokens at which a text is cut; 0 for never
    28  u32      known tokens below which a text is short
    32  u32      known tokens above which max_abs_diff grows with their number
    36  f32      share of the longest vector by which the length of shorter ones is measured, where it is no unit length
    40  f32      by how much a unit length may be off
    44  u32      P, precisions
    48  u32 x 6  where in the file begin: starts, texts, known, id starts, ids, vectors
    72  u32      size of the file
    76  u32      where in the file begins what a classifier should answer; 0 where the model is none

and goes on with P tolerances of 32 bytes: the name of a precision in 12 bytes, filled up with NUL, and five f32,
max_abs_diff, median_cosine, cosine, short_cosine and norm, -1 where one is not asked for. Then come, each filled up to
four bytes:

    starts     u32 (N + 1)  text i is bytes starts[i] to starts[i + 1] - 1 of texts; the byte between two is NUL
    texts      bytes        UTF-8 joined by NUL: starts[N] - 1 of them are what the text graph takes, as they are
    known      u32 (N)      tokens of each text that count
    id starts  u32 (N + 1)  text i has ids id_starts[i] to id_starts[i + 1]
    ids        u32          token ids, for the graphs that start from them
    vectors    f32 (N, D)   the float32 oracle's

and for a classifier, whose labels are C:

    sizes      u32 (2)      C, and 1 where a text may have any number of labels, else 0
    threshold  f32          the probability below which the answer is none of these; -1 for never
    strays     f32 (P)      by how much a probability may be off, by precision
    decided    i32 (N)      number of each text's label, -1 for none of these
    shares     f32 (N, C)   the oracle's probabilities
    starts     u32 (C + 1)  name i is bytes starts[i] to starts[i + 1] - 1 of names
    names      bytes        UTF-8 joined by NUL

A vector agrees where its cosine to the oracle's is at least `cosine` (`short_cosine` of a short text; zeros agree with
zeros alone), the median of all is at least `median_cosine`, and its length is right; edge_potion/golden.py has it all.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edge_potion.errors import ModelFormatError
from edge_potion.golden import LONG_TEXT, SHORT_LENGTH, SHORT_TEXT, Golden, Tolerance
from edge_potion.golden_head import head_as_bytes, head_from_bytes

__all__ = ["GOLDEN_BINARY", "golden_bytes", "read_golden_binary"]

GOLDEN_BINARY = "golden.bin"
MAGIC, VERSION = b"EPGOLDEN", 1
HEADER = struct.Struct("<8s7I2f9I")
TOLERANCE = struct.Struct("<12s5f")
BOUNDS = ("max_abs_diff", "median_cosine", "cosine", "short_cosine", "norm")
NOT_ASKED = -1.0


def golden_bytes(golden: Golden, tolerance: Mapping[str, Tolerance], max_tokens: int | None) -> bytes:
    """The content of golden.bin for a bundle with the precisions of `tolerance` that cuts at `max_tokens`."""
    texts = [text.encode("utf-8") for text in golden.texts]
    sections = [
        _starts([len(text) + 1 for text in texts]),
        b"\0".join(texts),
        golden.known.astype("<u4").tobytes(),
        _starts([len(ids) for ids in golden.ids]),
        np.array([token for ids in golden.ids for token in ids], "<u4").tobytes(),
        golden.vectors.astype("<f4").tobytes(),
    ]
    bounds = b"".join(
        TOLERANCE.pack(
            name.encode("ascii"), *(NOT_ASKED if (bound := vars(each)[key]) is None else bound for key in BOUNDS)
        )
        for name, each in tolerance.items()
    )
    if golden.head:
        sections.append(head_as_bytes(golden.head, list(tolerance)))
    padded = [section + b"\0" * (-len(section) % 4) for section in sections]
    *begins, end = np.cumsum([HEADER.size + len(bounds), *map(len, padded)]).tolist()
    begins, head = (begins[:-1], begins[-1]) if golden.head else (begins, 0)
    numbers = (VERSION, len(texts), golden.vectors.shape[1], golden.normalize, max_tokens or 0, SHORT_TEXT, LONG_TEXT)
    header = HEADER.pack(MAGIC, *numbers, SHORT_LENGTH, golden.unit_length, len(tolerance), *begins, end, head)
    return b"".join([header, bounds, *padded])


def read_golden_binary(file: Path) -> Golden:
    """What a golden.bin holds.

    Raises:
        ModelFormatError: it is missing, damaged, or of another version.
    """
    try:
        return _parsed(file.read_bytes())
    except (OSError, ValueError, struct.error, OverflowError) as failure:
        raise ModelFormatError(
            f"{file} is no golden.bin of version {VERSION} ({failure}); export it again"
        ) from failure


def _parsed(content: bytes) -> Golden:
    magic, version, count, dim, normalize, _, _, _, _, unit_length, precisions, *begins, size, head = (
        HEADER.unpack_from(content)
    )
    if magic != MAGIC or version != VERSION or size != len(content):
        raise ValueError(f"it begins with {magic!r}, version {version}, {size} bytes of {len(content)}")
    tolerance = {}
    for place in range(precisions):
        name, *bounds = TOLERANCE.unpack_from(content, HEADER.size + place * TOLERANCE.size)
        told = {key: round(bound, 9) for key, bound in zip(BOUNDS, bounds, strict=True) if bound != NOT_ASKED}
        tolerance[name.rstrip(b"\0").decode("ascii")] = Tolerance(**told)

    def numbers(section: int, kind: str, amount: int) -> np.ndarray:
        return np.frombuffer(content, kind, amount, begins[section])

    starts, id_starts = (numbers(section, "<u4", count + 1).astype(np.int64) for section in (0, 3))
    texts = content[begins[1] : begins[1] + int(starts[-1]) - 1].decode("utf-8").split("\0")
    ids = numbers(4, "<u4", int(id_starts[-1])).tolist()
    vectors = numbers(5, "<f4", count * dim).reshape(count, dim).astype(np.float32)
    if len(texts) != count or not np.isfinite(vectors).all():
        raise ValueError(f"it holds {len(texts)} texts for {count} vectors, or vectors with NaN")
    rows = [ids[begin:end] for begin, end in zip(id_starts[:-1].tolist(), id_starts[1:].tolist(), strict=True)]
    known = numbers(2, "<u4", count).astype(np.int64)
    answers = head_from_bytes(content, head, count, list(tolerance)) if head else None
    return Golden(texts, rows, vectors, known, bool(normalize), tolerance, float(unit_length), answers)


def _starts(lengths: Sequence[int]) -> bytes:
    return np.cumsum([0, *lengths]).astype("<u4").tobytes()
