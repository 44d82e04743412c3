"""Debian's packages and lists -> blocks of text with their language: paragraphs, list items, messages, descriptions."""

from __future__ import annotations

import json
import locale
import re
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath

from edge_potion.errors import InputError

CUT = "\0"  # stands where something that is no text was taken out of a sentence
MARK = re.compile(r"[.!?…。！？।॥؟۔։။።༎།][\"'”’»)\]」』）]*$")  # what ends a sentence
TEXT = {"p", "li", "dd", "blockquote", "para", "simpara"}  # elements of HTML, Mallard and DocBook that hold sentences
BOUNDS = {*TEXT, "h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "tr", "td", "th", "dt", "ul", "ol", "dl", "title"}
BOUNDS |= {"item", "term", "list", "section", "note", "caption", "body"}
NO_TEXT = {"head", "script", "style", "noscript", "nav", "header", "footer", "aside", "button", "info", "comment"}
NO_TEXT |= {"pre", "code", "kbd", "samp", "tt", "var", "screen", "programlisting", "listing", "literal", "command"}
NO_TEXT |= {"cmd", "file", "filename", "keyseq", "keycombo", "guiseq", "menuchoice", "sys", "input", "output"}
NO_TEXT_CLASSES = {"literal", "input", "keycode", "menuitem", "code", "codeintable", "smathcode", "related"}
VOID = {"br", "img", "hr", "meta", "base", "area", "col", "wbr"}  # elements of HTML that never end
BULLET = re.compile(r"^\s+[-*+o•·–] ")
SAME = {"nb": "no", "iw": "he", "c": "en"}  # other names -> the recipe's
KNOWN = {each.split("_")[0].split(".")[0].lower() for each in locale.locale_alias.values()} | {"dz", "gn"}
# A folder or file of a language, as de, pt_BR, zh-CN and sr@latin; or one that ends so: guide-de, description.de.utf8.
NAMED = re.compile(r"([a-z]{2}|C)(?:[_-][A-Za-z]{2,4})?(?:@\w+)?")
ENDING = re.compile(r".+?[.-]([a-z]{2})(?:(?:[_-]|%5f)[A-Za-z]{2,4})?")

Blocks = Iterator[tuple[str, str]]  # (language, text)


class _Page(HTMLParser):
    """Collects the text of each element of TEXT, with CUT for elements that hold none."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self.parts: list[str] | None = None  # of the open element, None outside of one
        self.skipped, self.depth = "", 0  # the element without text that is open, and how often its like is in it

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        if self.depth:
            self.depth += tag == self.skipped
        elif tag in VOID:
            self.handle_data(" ")
        elif tag in NO_TEXT or "hidden" in known or NO_TEXT_CLASSES.intersection((known.get("class") or "").split()):
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
    reader = _Page()
    reader.feed(page)
    reader.close()
    return reader.blocks


def _page(language: str, content: bytes) -> Blocks:
    return ((language, block) for block in blocks_of_page(content.decode("utf-8")))


def _message(language: str, text: str) -> Blocks:
    """A message that is sentences; others are labels."""
    if MARK.search(text):
        marked_up = "<" in text or "&" in text
        yield from ((language, block) for block in (blocks_of_page(f"<p>{text}") if marked_up else [text]))


def _catalogue(language: str, content: bytes) -> Blocks:
    """A .mo file, with the English messages of its translations."""
    order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    count, *tables = struct.unpack_from(order + "3I", content, 8)
    pairs = zip(*(struct.iter_unpack(order + "2I", content[at : at + 8 * count]) for at in tables), strict=True)
    for both in pairs:
        english, translation = (content[at : at + size].decode("utf-8").split("\0")[-1] for size, at in both)
        yield from _message("en", english.rsplit("\4", 1)[-1])
        yield from _message(language, translation)


def _messages_in_json(language: str, content: bytes) -> Blocks:
    rows = json.loads(content)
    for text in rows.values() if isinstance(rows, dict) else ():
        if isinstance(text, str):
            yield from _message(language, text)


def _fortunes(language: str, content: bytes) -> Blocks:
    """Sayings between lines of a percent sign; what is behind a dash tells who said them."""
    for saying in re.split(r"^%.*\n", content.decode("utf-8"), flags=re.MULTILINE):
        yield language, re.split(r"\n\s*[-–—]+ ?|\n\n", saying)[0]


def _descriptions(language: str, content: bytes) -> Blocks:
    """The paragraphs and list items of packages' descriptions: a list of apt's."""
    for package in content.decode("utf-8").split("\n\n"):
        block: list[str] = []
        lines = package.split("\n")
        for line in [*(line for line in lines if line.startswith(" ")), " ."]:
            if line == " ." or BULLET.match(line):
                yield language, " ".join(block)
                block = []
            if line != " .":
                block.append(BULLET.sub("", line))


PAGES = (".html", ".xhtml", ".page", ".docbook", ".xml", ".utf8")
READERS: dict[str, Callable[[str, bytes], Blocks]] = {**dict.fromkeys(PAGES, _page), ".mo": _catalogue}


def _reader_of(path: PurePosixPath) -> Callable[[str, bytes], Blocks] | None:
    if "fortunes" in path.parts:
        return _fortunes if path.suffix in ("", ".fortunes") else None
    if path.suffix == ".json":
        return _messages_in_json if path.parent.name == "i18n" else None
    return READERS.get(path.suffix)


def language_of(path: PurePosixPath) -> str | None:
    """The ISO 639-1 code that a path of a package tells, None where it tells none."""
    *folders, name = path.parts if path.suffix != ".json" else path.parts[-1:]
    stem = name.removesuffix(path.suffix) if path.suffix in (*READERS, ".json", ".fortunes") else name
    found = [NAMED.fullmatch(each) for each in folders] + [NAMED.fullmatch(stem)]
    found += [ENDING.fullmatch(each) for each in (*folders, stem)]
    codes = [each[1].lower() for each in found if each]
    return next((SAME.get(code, code) for code in codes if code in KNOWN), None)


def blocks_of_package(package: Path) -> Blocks:
    """(language, text) of each block in a .deb, or in a list of descriptions by apt (...Translation-de).

    Raises:
        InputError: a .deb that cannot be unpacked.
    """
    of_package = language_of(PurePosixPath(package.name.split("_")[0] if package.suffix == ".deb" else package.name))
    if package.suffix != ".deb":
        yield from _descriptions(of_package or "en", package.read_bytes())
        return
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as files:
                for each in filter(tarfile.TarInfo.isfile, files):
                    path = PurePosixPath(each.name)
                    reader, language = _reader_of(path), language_of(path) or of_package
                    stream = files.extractfile(each) if reader and language else None
                    if reader and language and stream:
                        yield from _whole(reader, language, stream.read())
        except tarfile.ReadError as failure:
            raise InputError(f"{package} is no Debian package that dpkg-deb can unpack; download it again") from failure


def _whole(reader: Callable[[str, bytes], Blocks], language: str, content: bytes) -> list[tuple[str, str]]:
    """The blocks of a file; none where it is of another encoding, or not of the kind that its name tells."""
    try:
        return list(reader(language, content))
    except (ValueError, struct.error):
        return []
