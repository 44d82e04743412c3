"""The corpus: sentences from local files or a hub data set, filtered, without duplicates, a fixed-seed sample of N."""

from __future__ import annotations

import hashlib
import heapq
import logging
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_potion.errors import InputError, require
from edge_potion.progress import counted
from edge_potion.texts import KINDS, PACKINGS, kind_of, read_texts
from edge_potion.writing import file_written_whole

from .language_shares import language_shares
from .recipe import CorpusRecipe

__all__ = ["LANGUAGE", "CorpusReport", "files_of", "sample_corpus", "sample_sentences"]

log = logging.getLogger("edge_potion")

# Space after a full stop, and after what may close around it, before something that begins a sentence.
SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"'”’)\]]))\s+(?=[\"'“‘(\[]?[A-Z0-9])")
# Of many languages: scripts with marks of their own, some without spaces, and letters of no case.
MANY_ENDS = re.compile(
    r"(?<=[。！？।॥])\s*(?=[^\s。！？।॥」』”’）])"
    r"|(?:(?<=[.!?؟۔።])|(?<=[.!?؟۔።][\"'”’»)\]]))\s+(?=[\"'“‘«¿¡(\[]?[^\W_a-zß-öø-ÿα-ωа-џ])"
)
LANGUAGE = "{language}"  # stands for each of the recipe's languages
# A hub set is endless; of its unique sentences, the sample is taken from this many times N.
HUB_OVERSAMPLING = 4
FEW = 1_000  # sentences; of so few, most words of a teacher's vocabulary occur in none
FEWER = "all are used, which is fine: words that occur in few of them stay nearer to what distilling gave them"
TOO_FEW = (
    "so few teach little, as most words occur in none of them: give tens of thousands, or use "
    "`edge-potion distill`, which needs none"
)
DIGEST_BYTES = 16  # of a sentence; two of 10^9 sentences share one with probability 10^-21


@dataclass(frozen=True)
class CorpusReport:
    """What became of the corpus.

    Attributes:
        sentences: how many were written.
        seen: sentences read, before filters.
        skipped: how many were left out, by reason; "not in the sample" is no fault of theirs.
        languages: how many were written of each, where the recipe names some.
    """

    sentences: int
    seen: int
    skipped: Counter[str]
    languages: Mapping[str, int] = field(default_factory=dict)


def sample_corpus(
    recipe: CorpusRecipe, out: Path, files: Sequence[Path] = (), *, column: str = "text", show_progress: bool = False
) -> CorpusReport:
    """Write N sentences, one a line, UTF-8, in an order fixed by the seed.

    The N sentences whose digests under the seed are smallest are kept: the sample does not depend on the order of the
    files, a duplicate has the digest of its twin, and no more than N sentences are ever held. Of several languages, 2 N
    are: the smallest of each, as many as `language_shares` says, go together by their digests.

    Args:
        recipe: how many, which lengths, which hub set, which seed, which languages.
        out: the text file to write.
        files: local corpora in the place of the hub set, as `edge_potion.texts.read_texts` reads them: .txt (a line is
            a sentence), and .jsonl, .csv, .tsv or .parquet (texts that are split into sentences), compressed or not.
            Where the recipe names languages, "{language}" in a name stands for each.
        column: the key or column of the texts in all but .txt.
        show_progress: a bar on stderr.

    Raises:
        InputError: a file that cannot be read, an unknown ending, a hub set that cannot be had, or no sentence left.
        MissingExtraError: .parquet without pyarrow, .zst without zstandard, a hub set without datasets.
    """
    skipped: Counter[str] = Counter()
    if recipe.languages:
        return _sample_languages(recipe, out, files, column, skipped, show_progress)
    read = _from_files(files, column, skipped) if files else _from_hub(recipe)
    where = ", ".join(map(str, files)) or recipe.source
    shown = counted(read, show_progress, desc="corpus", unit=" sentences")
    return sample_sentences(shown, recipe, out, skipped, where, endless=not files)


def sample_sentences(
    sentences: Iterable[str],
    recipe: CorpusRecipe,
    out: Path,
    skipped: Counter[str] | None = None,
    where: str = "the texts",
    *,
    endless: bool = False,
) -> CorpusReport:
    """Filter and sample `sentences` into the file `out`, as `sample_corpus` does.

    Args:
        sentences: any number of them.
        recipe: how many, which lengths, which seed.
        out: the text file to write.
        skipped: counts of what was left out before.
        where: they come from, for the error when none is left.
        endless: stop after some times N of them.

    Raises:
        InputError: no sentence is left.
    """
    skipped = Counter() if skipped is None else skipped
    kept = _smallest(sentences, recipe, skipped, endless=endless)
    _refuse_none(kept, recipe, where)
    return _write([sentence for _, sentence in kept.sentences], kept.seen, recipe, out, skipped)


def _refuse_none(kept: _Kept, recipe: CorpusRecipe, where: str) -> None:
    if not kept.sentences:
        raise InputError(f"no sentence of {recipe.min_characters} to {recipe.max_characters} characters in {where}")


def _write(
    sentences: Sequence[str],
    seen: int,
    recipe: CorpusRecipe,
    out: Path,
    skipped: Counter[str],
    languages: Mapping[str, int] | None = None,
) -> CorpusReport:
    with file_written_whole(out) as beside, beside.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(sentence + "\n" for sentence in sentences)
    report = CorpusReport(len(sentences), seen, skipped, languages or {})
    log.info("corpus: %d of %d sentences kept; left out: %s", report.sentences, report.seen, dict(skipped))
    if report.sentences < recipe.sentences:
        log.warning(
            "corpus: %d sentences were asked for, and there are %d; %s",
            recipe.sentences,
            report.sentences,
            TOO_FEW if report.sentences < FEW else FEWER,
        )
    return report


@dataclass(frozen=True)
class _Kept:
    sentences: list[tuple[int, str]]  # (digest, sentence), by rising digest
    seen: int
    unique: int


def _smallest(sentences: Iterable[str], recipe: CorpusRecipe, skipped: Counter[str], *, endless: bool) -> _Kept:
    key = recipe.seed.to_bytes(16, "big", signed=True)
    heap: list[tuple[int, str]] = []  # (-digest, sentence): the largest digest on top
    digests: set[int] = set()
    seen = unique = 0
    for sentence in sentences:
        seen += 1
        if not recipe.min_characters <= len(sentence) <= recipe.max_characters:
            skipped["too short" if len(sentence) < recipe.min_characters else "too long"] += 1
            continue
        try:
            hashed = hashlib.blake2b(sentence.encode("utf-8"), digest_size=DIGEST_BYTES, key=key)
        except UnicodeEncodeError:  # a lone surrogate, which JSON can spell
            skipped["not UTF-8"] += 1
            continue
        digest = int.from_bytes(hashed.digest(), "big")
        if digest in digests:
            skipped["duplicate"] += 1
            continue
        unique += 1
        if len(heap) < recipe.sentences:
            heapq.heappush(heap, (-digest, sentence))
            digests.add(digest)
            continue
        skipped["not in the sample"] += 1  # this one, or the one that makes room for it
        if digest < -heap[0][0]:
            dropped, _ = heapq.heapreplace(heap, (-digest, sentence))
            digests.remove(-dropped)
            digests.add(digest)
        if endless and unique >= HUB_OVERSAMPLING * recipe.sentences:
            break
    return _Kept([(-digest, sentence) for digest, sentence in sorted(heap, reverse=True)], seen, unique)


def files_of(files: Sequence[Path], language: str) -> list[Path]:
    """The files of one language: those of `files` with its name in the place of "{language}"."""
    return [Path(str(file).replace(LANGUAGE, language)) for file in files]


def _sample_languages(
    recipe: CorpusRecipe, out: Path, files: Sequence[Path], column: str, skipped: Counter[str], show_progress: bool
) -> CorpusReport:
    """Sample each language by itself, and bring its sentences together in the order of their digests."""
    alpha = recipe.alpha if files else 0.0
    most = recipe.sentences if files else -(-recipe.sentences // len(recipe.languages))
    kept: dict[str, list[tuple[int, str]]] = {}
    counts: dict[str, int] = {}
    seen = unique = 0
    for language in recipe.languages:
        source, subset = (each.replace(LANGUAGE, language) for each in (recipe.source, recipe.subset))
        of_one = replace(recipe, sentences=most, source=source, subset=subset, languages=())
        own = files_of(files, language)
        read = _from_files(own, column, skipped, MANY_ENDS) if files else _from_hub(of_one, MANY_ENDS)
        shown = counted(read, show_progress, desc=f"corpus, {language}", unit=" sentences")
        found = _smallest(shown, of_one, skipped, endless=not files)
        where = ", ".join(map(str, own)) or f"{source} {subset}"
        _refuse_none(found, recipe, f"{where}, of language {language}")
        counts[language] = found.unique if files else len(found.sentences)
        seen, unique = seen + found.seen, unique + len(found.sentences)
        shares = language_shares(counts, recipe.sentences, alpha)
        kept = {each: rows[: shares[each] + 1] for each, rows in {**kept, language: found.sentences}.items()}
    sentences: dict[int, str] = {}
    given: dict[str, int] = {}
    for language, rows in kept.items():
        own_rows = dict(rows[: shares[language]])
        given[language] = len(own_rows.keys() - sentences.keys())  # a sentence of two languages is of the first
        skipped["duplicate"] += len(own_rows) - given[language]
        sentences.update(own_rows)
    skipped["not in the sample"] += unique - sum(shares.values())
    _tell_languages(given, counts, recipe, alpha)
    ordered = [sentences[digest] for digest in sorted(sentences)]
    return _write(ordered, seen, recipe, out, +skipped, given)


def _tell_languages(given: Mapping[str, int], counts: Mapping[str, int], recipe: CorpusRecipe, alpha: float) -> None:
    """Say how many sentences are of each language, and which gave all they have."""
    log.info("corpus: of each language: %s", dict(given))
    weights = {language: count**alpha for language, count in counts.items()}
    for language, count in counts.items():
        share = int(recipe.sentences * weights[language] / sum(weights.values()))
        if count < share:
            log.warning("corpus: of %s there are %d sentences, and its share would be %d", language, count, share)


def _from_files(
    files: Sequence[Path], column: str, skipped: Counter[str], ends: re.Pattern[str] = SENTENCE_END
) -> Iterator[str]:
    for file in files:
        kind = kind_of(file)
        if kind is None:
            raise InputError(
                f"{file}: the name must end in {', '.join(KINDS)}, or one of these and {', '.join(PACKINGS)}"
            )
        for text in read_texts(file, column, skipped):
            if kind == ".txt":
                yield text.strip()
            else:
                yield from _sentences(text, ends)


def _from_hub(recipe: CorpusRecipe, ends: re.Pattern[str] = SENTENCE_END) -> Iterator[str]:
    require("datasets", extra="train", purpose=f"reading {recipe.source} from the hub")
    from datasets import load_dataset

    try:
        rows = load_dataset(recipe.source, recipe.subset or None, split="train", streaming=True)
        for row in rows:
            yield from _sentences(row["text"], ends)
    except (OSError, ValueError, KeyError, EOFError, zlib.error) as failure:  # the last two: a damaged gzip file
        reason = str(failure).strip().split("\n")[0]
        of_subset = f" {recipe.subset!r}" if ends is MANY_ENDS else ""
        raise InputError(
            f"the hub did not give the data set {recipe.source!r}{of_subset} ({reason}); run the same command "
            "again, or pass local files with --corpus"
        ) from failure


def _sentences(text: str, ends: re.Pattern[str]) -> Iterator[str]:
    """A document's sentences: by line, then by what ends one."""
    for line in text.split("\n"):
        yield from (sentence.strip() for sentence in ends.split(line))
