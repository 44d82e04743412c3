"""Featurize: the teacher encodes the corpus, shard by shard; a run that was killed goes on at the last whole shard."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError, ModelFormatError, RecipeError
from edge_potion.folders import file_written_whole, read_json
from edge_potion.progress import progress_bar

from .recipe import FeaturizeRecipe
from .shards import MANIFEST, Shard, count_name, shard_files, write_shard
from .special_tokens import special_tokens
from .teacher import Teacher, teacher_digest

__all__ = ["featurize"]

log = logging.getLogger("edge_potion")


def featurize(
    teacher: Teacher, sentences: Path, out: Path, recipe: FeaturizeRecipe, *, show_progress: bool = False
) -> dict[str, object]:
    """Write (text, vector) shards of a file of sentences into the folder `out`, going on where an earlier run stopped.

    Args:
        teacher: whose vectors they are.
        sentences: a UTF-8 file with one sentence a line, as `sample_corpus` writes it.
        out: an existing folder; what it holds already must come from the same teacher, sentences and recipe.
        recipe: pooling, precision, where to cut, rows a shard.
        show_progress: a bar on stderr, with texts/s and the time left.

    Returns:
        `rows` written, and how many sentences were `skipped`, by reason: vectors that are not finite, or texts without
        a token.

    Raises:
        InputError: `out` holds features made otherwise, or cannot be written to.
        ModelFormatError: no sentence of a shard got a finite vector.
    """
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
    told = {"teacher": teacher.name, "teacher_revision": teacher.revision, "dims": teacher.width}
    done = _already_there(out, made_from, told)
    if done:
        log.info("features: going on after %d whole shards", len(done))
    skipped: Counter[str] = Counter()
    rows = 0
    before = sum(sum(counts.values()) for counts in done.values())
    with (
        sentences.open(encoding="utf-8", newline="\n") as lines,
        progress_bar(show_progress, total=total, initial=before, desc="featurize", unit=" texts") as bar,
    ):
        for number, texts in enumerate(_chunks((line.rstrip("\n") for line in lines), recipe.shard_rows)):
            name = count_name(number)  # a shard of which all rows are skipped has counts and no other file
            counts = done.get(name)
            if counts is None:
                counts = _featurize_shard(teacher, texts, out, number, recipe)
                with file_written_whole(out / name) as beside:
                    beside.write_text(json.dumps(counts))
                bar.update(len(texts))
            rows += counts.get("rows", 0)
            skipped.update({reason: count for reason, count in counts.items() if reason != "rows"})
    if not rows:
        raise ModelFormatError(f"teacher {teacher.name} gave no finite vector for any of {total} sentences: {skipped}")
    if skipped:
        log.warning("features: %d sentences, left out: %s", rows, dict(skipped))
    return {"rows": rows, "skipped": dict(skipped)}


def _already_there(out: Path, made_from: dict[str, object], told: dict[str, object]) -> dict[str, dict[str, int]]:
    """The counts of the whole shards in `out`, which must be made from the same; writes the manifest when it is new."""
    file = out / MANIFEST
    if not file.is_file():
        if shard_files(out):
            raise InputError(f"{out} holds shards without a {MANIFEST}; choose another folder")
        with file_written_whole(file) as beside:
            beside.write_text(json.dumps({**told, **made_from}, indent=2) + "\n", encoding="utf-8")
        return {}
    found = read_json(file)
    if differing := [key for key, value in made_from.items() if found.get(key) != value]:
        key = differing[0]
        raise InputError(
            f"{out} holds features of another kind: {key} is {found.get(key)!r} there and {made_from[key]!r} now; "
            "choose another folder, or remove it"
        )
    return {each.name: read_json(each) for each in out.glob("shard-*.json")}


def _featurize_shard(
    teacher: Teacher, texts: list[str], out: Path, number: int, recipe: FeaturizeRecipe
) -> dict[str, int]:
    around = special_tokens(teacher.tokenizer)
    longest = min(recipe.max_tokens, teacher.longest or recipe.max_tokens)
    inside = longest - len(around.before) - len(around.after)
    if inside < 1:
        raise RecipeError(f"max_tokens is {longest}, which {teacher.name}'s special tokens fill; more were expected")
    ids = [encoding.ids[:inside] for encoding in teacher.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    has_tokens = np.array([bool(row) for row in ids])
    whole = [around.around(row) for row in ids if row]
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
    if len(kept):
        write_shard(out, number, Shard([texts[place] for place in kept], vectors[finite]))
    counts = {"rows": len(kept), "NaN or inf": len(whole) - len(kept), "no token": len(texts) - len(whole)}
    return {reason: count for reason, count in counts.items() if count or reason == "rows"}


def _chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    while chunk := list(islice(lines, size)):
        yield chunk
