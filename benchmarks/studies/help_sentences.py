"""Write real sentences in many languages, one file each, from Debian packages whose texts are translated.

python -m edge_potion.benchmarks.studies.help_sentences build/debs build/sentences --leave-out PAIRS.jsonl.gz

Reads each .deb of a folder, and each list of package descriptions that apt has (...Translation-de). Pages give their
paragraphs and list items, catalogues the messages that are sentences. The files, sentences.LANGUAGE.txt.xz, are what
`train --corpus` takes with {language} in the name. What no one has translated stands in English, so a line that the
English texts have too is left out.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from unicodedata import category

from edge_potion.benchmarks.studies.translated_files import MARK, blocks_of_package
from edge_potion.errors import InputError
from edge_potion.text_lines import read_lines
from edge_potion.trainer.corpus import MANY_ENDS
from edge_potion.writing import file_written_whole

SHORTEST, LONGEST = 8, 320  # characters of a sentence
FEWEST_WORDS = 4  # of a line that no mark ends: fewer are labels
# Of sentences of a language that begin with the same 20 characters, at most 20: "This package contains the ...".
BEGINNING, MOST_ALIKE = 20, 20
# What only code, keys, addresses, cut places and places for values have.
CODE = re.compile(r"[\0{}<>\\|_=$@#^~`]|%[\w(]|&\w+;|\[\[|://|www\.|\w\+\w|\w\(\)|\S/\S+/|\.\.\.?\w|^[-*•·–]")
LINE_BREAK = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef])\s+(?=[\u2e80-\u9fff\uff00-\uffef])")  # no space in Chinese
UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")  # breaks and directions
# Words of no other language, or hardly: a line with two of them is English.
ENGLISH = {
    "the",
    "and",
    "this",
    "you",
    "with",
    "that",
    "are",
    "your",
    "which",
    "from",
    "will",
    "there",
    "they",
    "not",
    "should",
    "would",
    "been",
}
LATIN = re.compile(r"[A-Za-zÀ-ɏ]")


def sentences_of_block(block: str) -> Iterator[str]:
    """The sentences of a paragraph that have no trace of code."""
    line = LINE_BREAK.sub("", " ".join(UNSEEN.sub("", block).split()))
    for sentence in MANY_ENDS.split(line):
        whole = MARK.search(sentence) or len(sentence.split()) >= FEWEST_WORDS
        letters = sum(category(each)[0] in "LM" for each in sentence)  # a vowel of Hindi is a mark
        if whole and SHORTEST <= len(sentence) <= LONGEST and 2 * letters > len(sentence) and not CODE.search(sentence):
            yield sentence


def unlike(sentences: Mapping[str, str]) -> dict[str, str]:
    """The first few of those that begin alike."""
    seen: Counter[str] = Counter()
    kept = {}
    for each, package in sentences.items():
        seen[each[:BEGINNING]] += 1
        if seen[each[:BEGINNING]] <= MOST_ALIKE:
            kept[each] = package
    return kept


def key_of(text: str) -> str:
    """What two texts share that differ in case, marks or spaces alone."""
    return "".join(filter(str.isalnum, text.casefold()))


def in_its_language(sentences: Mapping[str, str], english: set[str]) -> dict[str, str]:
    """Those that are no English left untranslated: by the English texts, by its words, and by the script of most."""
    rest = {
        each: package
        for each, package in sentences.items()
        if key_of(each) not in english and len(ENGLISH & set(re.findall(r"\w+", each.lower()))) < 2
    }
    latin = {each for each in rest if 2 * len(LATIN.findall(each)) > sum(map(str.isalpha, each))}
    of_latin = 2 * len(latin) > len(rest)
    return {each: package for each, package in rest.items() if (each in latin) == of_latin}


def write_sentences(folder: Path, out: Path, leave_out: Path | None = None, fewest: int = 1) -> dict[str, Counter[str]]:
    """Write `out`/sentences.LANGUAGE.txt.xz of the packages in `folder`.

    Args:
        folder: with .deb files and lists of descriptions; the first by name that has a sentence gives it.
        out: the folder for the files.
        leave_out: JSON lines {"text", "english"} of an evaluation, which no file may hold.
        fewest: sentences of a language that is written.

    Returns:
        How many sentences of each language came from each package.

    Raises:
        InputError: there is no package, or a file is none.
    """
    packages = sorted([*folder.rglob("*.deb"), *folder.rglob("*_i18n_Translation-*")])
    if not packages:
        raise InputError(f"{folder} holds no .deb; download packages into it with `apt-get download`")
    rows = map(json.loads, read_lines(leave_out)) if leave_out else ()
    held_out = {key_of(row[side]) for row in rows for side in ("text", "english")}
    found: dict[str, dict[str, str]] = {}  # language -> sentence -> the package that had it first
    for package in packages:
        name = package.name.split("_")[0] if package.suffix == ".deb" else "descriptions"
        for language, block in blocks_of_package(package):
            for sentence in sentences_of_block(block):
                found.setdefault(language, {}).setdefault(sentence, name)
    english = set(map(key_of, found.get("en", {})))
    counts = {}
    out.mkdir(parents=True, exist_ok=True)
    for language, sentences in sorted(found.items()):
        kept = sentences if language == "en" else in_its_language(sentences, english)
        kept = unlike({each: package for each, package in kept.items() if key_of(each) not in held_out})
        if len(kept) < fewest:
            continue
        counts[language] = Counter(kept.values())
        file = out / f"sentences.{language}.txt.xz"
        with file_written_whole(file) as beside, lzma.open(beside, "wt", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{each}\n" for each in kept)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with .deb files and lists of apt's")
    parser.add_argument("out", type=Path, help="folder for sentences.LANGUAGE.txt.xz")
    parser.add_argument("--leave-out", type=Path, metavar="FILE", help="JSON lines of an evaluation: text, english")
    parser.add_argument("--fewest", type=int, default=3000, help="sentences of a language that is written (3000)")
    arguments = parser.parse_args()
    made = write_sentences(arguments.folder, arguments.out, arguments.leave_out, arguments.fewest)
    print("| language | sentences | from |\n|---|---|---|")
    for code, by_package in made.items():
        told = ", ".join(f"{package} {count:,}" for package, count in by_package.most_common())
        print(f"| {code} | {by_package.total():,} | {told} |")
    print(f"| all | {sum(map(Counter.total, made.values())):,} | |")
