"""Featurize: the teacher encodes the corpus, shard by shard; a run that was killed goes on at the last whole shard."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.find import read_json
from edge_potion.progress import progress_bar
from edge_potion.writing import file_written_whole

from .recipe import FeaturizeRecipe
from .shards import MANIFEST, Counts, Shard, count_files, read_counts, shard_files, write_counts, write_shard
from .teacher import Teacher
from .teacher_files import teacher_digest

__all__ = ["EncodeAll", "Encoded", "EncodedSlice", "Slice", "encoded", "encoded_here", "featurize"]

log = logging.getLogger("edge_potion")


@dataclass(frozen=True)
class Slice:
    """Sentences that one shard is made of.

    Attributes:
        number: of the shard, from 0.
        texts: the sentences.
    """

    number: int
    texts: list[str]


@dataclass(frozen=True)
class Encoded:
    """What the teacher gives for a slice.

    Attributes:
        kept: (n,) int64, places in the slice of the sentences that have a vector.
        vectors: (n, H) float16, theirs.
        skipped: sentences that were left out, by reason.
    """

    kept: np.ndarray
    vectors: np.ndarray
    skipped: Mapping[str, int]


@dataclass(frozen=True)
class EncodedSlice:
    """A slice, and what was made of it."""

    slice: Slice
    encoded: Encoded


# Who has the teacher encode slices, of which so many are left; they come in the order in which they are ready.
EncodeAll = Callable[[Teacher, FeaturizeRecipe, Iterator[Slice], int], Generator[EncodedSlice]]


def encoded_here(teacher: Teacher, recipe: FeaturizeRecipe, slices: Iterator[Slice], _: int) -> Generator[EncodedSlice]:
    """One after the other, in this process."""
    for part in slices:
        yield EncodedSlice(part, encoded(teacher, part.texts, recipe))


def featurize(
    teacher: Teacher,
    sentences: Path,
    out: Path,
    recipe: FeaturizeRecipe,
    *,
    show_progress: bool = False,
    encode_all: EncodeAll = encoded_here,
) -> dict[str, object]:
    """Write (text, vector) shards of a file of sentences into the folder `out`, going on where an earlier run stopped.

    Args:
        teacher: whose vectors they are.
        sentences: a UTF-8 file with one sentence a line, as `sample_corpus` writes it.
        out: an existing folder; what it holds already must come from the same teacher, sentences and recipe.
        recipe: pooling, precision, where to cut, rows a shard, what stands before each sentence.
        show_progress: a bar on stderr, with texts/s and the time left.
        encode_all: where the teacher encodes; what is whole is written here.

    Returns:
        `rows` written, and how many sentences were `skipped`, by reason: vectors that are not finite, or texts without
        a token.

    Raises:
        InputError: `out` holds features made otherwise, or cannot be written to.
        ModelFormatError: no sentence of a shard got a finite vector.
    """
    teacher = teacher.prompted(recipe.prompt)
    with sentences.open("rb") as stream:
        corpus_digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with sentences.open("rb") as stream:
        total = sum(1 for _ in stream)
    made_from = {
        "teacher_digest": teacher_digest(teacher.folder),
        "sentences": total,
        "sentences_sha256": corpus_digest,
        **asdict(recipe),
    }
    if recipe.pooling == "model":  # before, it was the teacher's Pooling alone
        made_from["modules"] = [step.kind for step in teacher.pipeline.steps]
    width = teacher.pooled_width(recipe.pooling)
    notes = {
        "teacher": teacher.name,
        "teacher_revision": teacher.revision,
        "teacher_licence": teacher.licence,
        "dims": width,
    }
    done = _already_there(out, made_from, notes)
    shards = range(-(-total // recipe.shard_rows))
    if done:
        log.info("features: going on after %d whole shards", len(done))
    before = sum(counts.rows + sum(counts.skipped.values()) for counts in done.values())
    with (
        sentences.open(encoding="utf-8", newline="\n") as lines,
        progress_bar(show_progress, total=total, initial=before, desc="featurize", unit=" texts") as bar,
    ):
        chunks = enumerate(_chunks((line.rstrip("\n") for line in lines), recipe.shard_rows))
        missing = (Slice(number, texts) for number, texts in chunks if number not in done)
        left = sum(number not in done for number in shards)
        with closing(encode_all(teacher, recipe, missing, left)) as parts:
            for part in parts:
                done[part.slice.number] = _written(part, out)
                bar.update(len(part.slice.texts))
    rows = sum(done[number].rows for number in shards)
    skipped: Counter[str] = Counter()
    for number in shards:
        skipped.update(done[number].skipped)
    if not rows:
        raise ModelFormatError(f"teacher {teacher.name} gave no finite vector for any of {total} sentences: {skipped}")
    if skipped:
        log.warning("features: %d sentences, left out: %s", rows, dict(skipped))
    return {"rows": rows, "skipped": dict(skipped)}


def _already_there(out: Path, made_from: dict[str, object], notes: dict[str, object]) -> dict[int, Counts]:
    """The counts of the whole shards in `out`, which must be made from the same; writes the manifest when it is new."""
    file = out / MANIFEST
    ours = count_files(out)
    if (ours or file.is_file()) and _is_damaged(file):
        log.warning("features: %s is damaged, and nobody knows what the shards were made from: all anew", file)
        for damaged in (*shard_files(out), *ours.values(), file):
            damaged.unlink(missing_ok=True)
    if not file.is_file():
        if shard_files(out):
            raise InputError(f"{out} holds shards without a {MANIFEST}; choose another folder")
        with file_written_whole(file) as beside:
            beside.write_text(json.dumps({**notes, **made_from}, indent=2) + "\n", encoding="utf-8")
        return {}
    manifest = {"prompt": "", **read_json(file)}  # there was none before recipes had that key
    if differing := [key for key, value in made_from.items() if manifest.get(key) != value]:
        key = differing[0]
        raise InputError(
            f"{out} holds features of another kind: {key} is {manifest.get(key)!r} there and {made_from[key]!r} now; "
            "choose another folder, or remove it"
        )
    done = {}
    for number in ours:
        counts = read_counts(out, number)
        if counts is not None and counts.is_whole(out):
            done[number] = counts
        else:
            log.warning("features: shard %d is damaged, and is made again", number)
    return done


def _is_damaged(manifest: Path) -> bool:
    try:
        return "sentences_sha256" not in read_json(manifest)
    except ModelFormatError:
        return True


def encoded(teacher: Teacher, texts: list[str], recipe: FeaturizeRecipe) -> Encoded:
    """What the teacher gives for the sentences of a slice.

    Raises:
        ModelFormatError: nothing that is finite, for a whole slice.
    """
    sequences = teacher.sequences(texts, recipe.max_tokens)
    has_tokens = np.array([bool(row) for row in sequences])
    whole = [row for row in sequences if row]
    encode = partial(teacher.vectors, pooling=recipe.pooling, precision=recipe.precision)
    vectors = encode(whole)  # (n, H) f32
    for place in np.flatnonzero(~np.isfinite(vectors).all(axis=1)):
        # Alone, it holds no padding: NaN at a position that only longer texts reach would spoil its whole batch.
        vectors[place] = encode([whole[place]])[0]
    with np.errstate(over="ignore"):
        vectors = vectors.astype(np.float16)  # a value beyond 65,504 becomes inf, and its row is left out
    finite = np.isfinite(vectors).all(axis=1)
    if len(whole) and not finite.any() and len(texts) == recipe.shard_rows:  # now, not hours later
        raise ModelFormatError(
            f"teacher {teacher.name} gives NaN or inf for each of {len(texts)} sentences at precision "
            f"{recipe.precision}; a wider one may do"
        )
    kept = np.flatnonzero(has_tokens)[finite]
    skipped = {"NaN or inf": len(whole) - len(kept), "no token": len(texts) - len(whole)}
    return Encoded(kept, vectors[finite], {reason: count for reason, count in skipped.items() if count})


def _written(part: EncodedSlice, out: Path) -> Counts:
    number = part.slice.number
    texts = [part.slice.texts[place] for place in part.encoded.kept]
    file = write_shard(out, number, Shard(texts, part.encoded.vectors)) if texts else None
    return write_counts(out, number, len(texts), part.encoded.skipped, file)


def _chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    while chunk := list(islice(lines, size)):
        yield chunk
