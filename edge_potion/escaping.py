"""A stranger's words on one line of Markdown, of a page or of a terminal: no markup, no command to the screen."""

from __future__ import annotations

import re
import unicodedata
from html import escape

__all__ = ["html", "markdown", "terminal"]

LINES = ("Cc", "Cs", "Zl", "Zp")  # categories: control characters, lone surrogates, ends of lines and of paragraphs
# What turns the direction of the letters around it, so that a line reads otherwise than it is written.
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "|`*_[]\\$~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})
ADDRESS = re.compile(
    r"(?<![a-z\d])(?:(?:https?|ftp)(?=://)|www(?=\.))", re.IGNORECASE
)  # GitHub makes a link of a bare one
BLOCK = re.compile(r"(?:#{1,6}|[-+=]+|\d{1,9}[.)])(?= |$)")  # at the beginning of an item: a heading, a list, a rule


def markdown(text: object) -> str:
    """`text` as plain words within a line of Markdown: control characters are gone, marks stand for themselves."""
    words = "".join(" " if _is_command(character) else character for character in str(text))
    line = ADDRESS.sub(lambda link: f"{link[0]}\\", " ".join(words.split()).translate(MARKUP))
    block = BLOCK.match(line)
    return f"{line[: block.end() - 1]}\\{line[block.end() - 1 :]}" if block else line


def terminal(text: object) -> str:
    r"""`text` on one line of a terminal: control characters and those that turn letters about are shown, as \x1b."""
    return "".join(_escaped(character) if _is_command(character) else character for character in str(text))


def html(text: object) -> str:
    """`text` as plain words within an element or an attribute of a page; control characters are shown there too."""
    return escape(terminal(text))


def _is_command(character: str) -> bool:
    return character in BIDI or unicodedata.category(character) in LINES


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
