"""Write real sentences in many languages, one file each, from Debian packages whose texts are translated.

python -m edge_potion.benchmarks.studies.help_sentences build/debs build/sentences --leave-out PAIRS.jsonl.gz

Reads each .deb of a folder: pages (HTML, Mallard, DocBook) give their paragraphs and list items, catalogues (.mo) the
messages that are sentences. The files, sentences.LANGUAGE.txt.xz, are what `train --corpus` takes with {language} in
the name. What no one has translated stands in English, so a line that the English texts have too is left out.
"""

from __future__ import annotations

import argparse
import json
import locale
import lzma
import re
import struct
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from edge_potion.errors import InputError
from edge_potion.text_lines import read_lines
from edge_potion.trainer.corpus import MANY_ENDS
from edge_potion.writing import file_written_whole

SHORTEST, LONGEST = 8, 320  # characters of a sentence
FEWEST_WORDS = 4  # of a line that no mark ends: fewer are labels
PAGES = {".html", ".xhtml", ".page", ".docbook", ".xml", ".utf8"}
TEXT = {"p", "li", "dd", "blockquote", "para", "simpara"}  # elements that hold sentences
BOUNDS = {*TEXT, "h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "tr", "td", "th", "dt", "ul", "ol", "dl", "title"}
BOUNDS |= {"item", "term", "list", "section", "note", "caption", "body"}
NO_TEXT = {"head", "script", "style", "noscript", "nav", "header", "footer", "aside", "button", "info", "comment"}
NO_TEXT |= {"pre", "code", "kbd", "samp", "tt", "var", "screen", "programlisting", "listing", "literal", "command"}
NO_TEXT |= {"cmd", "file", "filename", "keyseq", "keycombo", "guiseq", "menuchoice", "sys", "input", "output"}
NO_TEXT_CLASSES = {"literal", "input", "keycode", "menuitem", "code", "codeintable", "smathcode", "related"}
VOID = {"br", "img", "hr", "meta", "base", "area", "col", "wbr"}  # elements of HTML that never end
CUT = "\0"  # stands where something was taken out of a sentence, which is left out for it
# What only code, keys, addresses and places for values have.
CODE = re.compile(r"[\0{}<>\\|_=$@#^~`]|%[\w(]|&\w+;|://|www\.|\w\+\w|\w\(\)|\S/\S+/|\.\.\.?\w|^[-*•·–]")
MARK = re.compile(r"[.!?…。！？।॥؟۔։።។༎།][\"'”’»)\]」』）]*$")
# Words of no other language, or hardly: a line with two of them is English.
ENGLISH = {"the", "and", "this", "you", "with", "that", "are", "your", "which", "from", "will"}
LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
SAME = {"nb": "no", "iw": "he", "c": "en"}  # other names -> the recipe's
KNOWN = {each.split("_")[0].split(".")[0].lower() for each in locale.locale_alias.values()} | {"dz", "gn"}
# A folder of a language, pt_BR, zh-CN and sr@latin too; or a name like description.de.utf8 and guide-de.
FOLDER = re.compile(r"([a-z]{2}|C)(?:[_-][A-Za-z]{2,4})?(?:@\w+)?")
NAME = re.compile(r"[\w-]+[.]([a-z]{2})(?:[_-][A-Za-z]{2,4})?[.]\w+|[\w-]+-([a-z]{2})(?:_[A-Z]{2})?")


class _Blocks(HTMLParser):
    """Collects the text of each element of TEXT, with CUT for elements that hold none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self.parts: list[str] | None = None  # of the open element, None outside of one
        self.skipped, self.depth = "", 0  # the element without text that is open, and how often its like is in it

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        classes = set((known.get("class") or "").split())
        if self.depth:
            self.depth += tag == self.skipped
        elif tag in VOID:
            self.handle_data(" ")
        elif tag in NO_TEXT or "hidden" in known or classes & NO_TEXT_CLASSES:
            self.handle_data(CUT)
            self.skipped, self.depth = tag, 1
        elif tag in BOUNDS:
            self._next(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_data(" ")  # <br/>: it opens nothing

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= tag == self.skipped
        elif tag in BOUNDS:
            self._next("")

    def handle_data(self, data: str) -> None:
        if self.parts is not None and not self.depth:
            self.parts.append(data)

    def close(self) -> None:
        super().close()
        self._next("")

    def _next(self, tag: str) -> None:
        """One element is over and another begins: pages leave out ends that HTML does not ask for."""
        if self.parts:
            self.blocks.append("".join(self.parts))
        self.parts = [] if tag in TEXT else None


def blocks_of_page(page: str) -> list[str]:
    """The paragraphs and list items of HTML or XML, without markup."""
    reader = _Blocks()
    reader.feed(page)
    reader.close()
    return reader.blocks


def messages_of_catalogue(content: bytes) -> Iterator[tuple[str, str]]:
    """(English, translation) of the messages of a .mo file."""
    order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    count, *tables = struct.unpack_from(order + "3I", content, 8)
    pairs = zip(*(struct.iter_unpack(order + "2I", content[at : at + 8 * count]) for at in tables), strict=True)
    for both in pairs:
        english, translation = (content[at : at + size].decode("utf-8").split("\0")[-1] for size, at in both)
        yield english.rsplit("\4", 1)[-1], translation


def sentences_of_block(block: str) -> Iterator[str]:
    """The sentences of a paragraph that have no trace of code."""
    for sentence in MANY_ENDS.split(" ".join(block.replace("\u200b", "").split())):
        whole = MARK.search(sentence) or len(sentence.split()) >= FEWEST_WORDS
        letters = sum(each.isalpha() for each in sentence)
        if whole and SHORTEST <= len(sentence) <= LONGEST and 2 * letters > len(sentence) and not CODE.search(sentence):
            yield sentence


def language_of(path: str) -> str | None:
    """The ISO 639-1 code that a path of a package tells, None where it tells none."""
    *folders, name = PurePosixPath(path).parts
    found = [FOLDER.fullmatch(each) for each in folders] + [NAME.fullmatch(each) for each in (*folders, name)]
    codes = [next(filter(None, each.groups())).lower() for each in found if each]
    return next((SAME.get(code, code) for code in codes if code in KNOWN), None)


def files_of_package(package: Path) -> Iterator[tuple[str, bytes]]:
    """(path, content) of the pages and catalogues of a .deb; InputError when it is none."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as files:
                for each in files:
                    if each.isfile() and PurePosixPath(each.name).suffix in {*PAGES, ".mo"}:
                        stream = files.extractfile(each)
                        assert stream is not None
                        yield each.name, stream.read()
        except tarfile.ReadError as failure:
            raise InputError(f"{package} is no Debian package that dpkg-deb can unpack; download it again") from failure


def sentences_of_package(package: Path) -> Iterator[tuple[str, str]]:
    """(language, sentence) of each sentence of a .deb, duplicates too."""
    for path, content in files_of_package(package):
        language = language_of(path)
        if language is None:
            continue
        blocks: list[tuple[str, str]] = []
        try:
            if path.endswith(".mo"):
                for english, translation in messages_of_catalogue(content):
                    if MARK.search(translation):  # others are labels
                        blocks += [("en", f"<p>{english}"), (language, f"<p>{translation}")]
                blocks = [(each, block) for each, text in blocks for block in blocks_of_page(text)]
            else:
                blocks = [(language, block) for block in blocks_of_page(content.decode("utf-8"))]
        except (UnicodeDecodeError, struct.error):  # of another encoding, or no catalogue
            continue
        for each, block in blocks:
            yield from ((each, sentence) for sentence in sentences_of_block(block))


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
        folder: with .deb files; the first by name that has a sentence gives it.
        out: the folder for the files.
        leave_out: JSON lines {"text", "english"} of an evaluation, which no file may hold.
        fewest: sentences of a language that is written.

    Returns:
        How many sentences of each language came from each package.

    Raises:
        InputError: there is no package, or a file is none.
    """
    packages = sorted(folder.glob("*.deb"))
    if not packages:
        raise InputError(f"{folder} holds no .deb; download packages into it with `apt-get download`")
    rows = map(json.loads, read_lines(leave_out)) if leave_out else ()
    held_out = {key_of(row[side]) for row in rows for side in ("text", "english")}
    found: dict[str, dict[str, str]] = {}  # language -> sentence -> the package that had it first
    for package in packages:
        name = package.name.split("_")[0]
        for language, sentence in sentences_of_package(package):
            found.setdefault(language, {}).setdefault(sentence, name)
    english = set(map(key_of, found.get("en", {})))
    counts = {}
    out.mkdir(parents=True, exist_ok=True)
    for language, sentences in sorted(found.items()):
        kept = sentences if language == "en" else in_its_language(sentences, english)
        kept = {each: package for each, package in kept.items() if key_of(each) not in held_out}
        if len(kept) < fewest:
            continue
        counts[language] = Counter(kept.values())
        file = out / f"sentences.{language}.txt.xz"
        with file_written_whole(file) as beside, lzma.open(beside, "wt", encoding="utf-8", newline="\n") as stream:
            stream.writelines(f"{each}\n" for each in kept)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with .deb files")
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
