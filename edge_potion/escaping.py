"""A stranger's words on one line of Markdown or of a terminal: no markup, and no command to the screen."""

from __future__ import annotations

import unicodedata

__all__ = ["markdown", "terminal"]

LINES = ("Cc", "Cs", "Zl", "Zp")  # categories: control characters, lone surrogates, ends of lines and of paragraphs
# What turns the direction of the letters around it, so that a line reads otherwise than it is written.
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "|`*_[]\\$"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def markdown(text: object) -> str:
    """`text` as plain words within a line of Markdown: control characters are gone, marks stand for themselves."""
    words = "".join(" " if _is_command(character) else character for character in str(text))
    return " ".join(words.split()).translate(MARKUP)


def terminal(text: object) -> str:
    r"""`text` on one line of a terminal: control characters and those that turn letters about are shown, as \x1b."""
    return "".join(_escaped(character) if _is_command(character) else character for character in str(text))


def _is_command(character: str) -> bool:
    return character in BIDI or unicodedata.category(character) in LINES


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
