"""Random texts of every class of code point, each made again from the name of its class and a seed."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

__all__ = ["KINDS", "fuzz_bytes", "fuzz_texts", "texts_over"]

RANGES = {
    "ascii": [(0x20, 0x7F)],
    "latin": [(0x41, 0x7B), (0xA0, 0x250), (0x1E00, 0x1F00), (0x2C60, 0x2C80), (0xA720, 0xA800), (0xFB00, 0xFB07)],
    "greek_cyrillic": [(0x370, 0x530), (0x1F00, 0x2000), (0x2DE0, 0x2E00), (0xA640, 0xA6A0)],
    "combining": [
        *((0x61, 0x7B), (0x300, 0x370), (0x483, 0x48A), (0x591, 0x5C8), (0x64B, 0x660), (0x1AB0, 0x1B00)),
        *((0x1DC0, 0x1E00), (0x20D0, 0x2100), (0x302A, 0x3030), (0x3099, 0x309D), (0xFE00, 0xFE10), (0xFE20, 0xFE30)),
        *((0x1D15E, 0x1D1C0), (0xE0100, 0xE0200)),
    ],
    "hangul": [(0xAC00, 0xD7B0), (0x1100, 0x1200), (0xA960, 0xA980), (0xD7B0, 0xD800), (0x3130, 0x3190)],
    "cjk": [
        *((0x4E00, 0xA000), (0x3400, 0x4E00), (0xF900, 0xFB00), (0x2F800, 0x2FA20), (0x20000, 0x20100)),
        *((0x2A6C0, 0x2A710), (0x2B700, 0x2B840), (0x2CE90, 0x2CEC0), (0x30000, 0x30100), (0x2E80, 0x3040)),
    ],
    "kana": [(0x3040, 0x3100), (0x31F0, 0x3200), (0xFF00, 0xFFF0), (0x1B000, 0x1B170), (0x3200, 0x3400)],
    "emoji": [(0x1F300, 0x1F650), (0x1F680, 0x1F700), (0x1F900, 0x1FB00), (0x2600, 0x27C0), (0x1F1E6, 0x1F200)],
    "rtl": [(0x590, 0x780), (0x7C0, 0x900), (0xFB1D, 0xFE00), (0xFE70, 0xFF00), (0x1E800, 0x1EF00)],
    "brahmic": [(0x900, 0x10A0), (0x1780, 0x1800), (0x1A20, 0x1C50), (0xA8E0, 0xAB00), (0x11000, 0x11A00)],
    "controls": [(0x1, 0x20), (0x7F, 0xA1), (0x200B, 0x2070), (0xFFF0, 0x10000), (0xE0000, 0xE0080), (0x61, 0x65)],
    "private": [(0xE000, 0xF900), (0xF0000, 0xF0400), (0x10FC00, 0x110000), (0x61, 0x65)],
    "planes": [(0x1, 0xD800), (0xE000, 0x110000)],
}
EMOJI_PARTS = "\u200d\ufe0f\ufe0e\u20e3\U0001f3fb\U0001f3fd\U0001f3ff\U0001f1eb\U0001f1f7#*0123456789a b"
BETWEEN = (*"   \t\n.-'\u00a0\u3000\u2028\x85\ufeff\xad", "", "", "  ", "\r\n", ", ")
LONG = (1, 30, 49, 50, 51, 95, 98, 99, 100, 101, 102, 150, 203)  # around the longest word
LONG_PARTS = (*"axB\u00e9\u0301\uac00\u0438\U0001d518\u200b", "e\u0301", "ing", "\u1e9b\u0323")


def fuzz_texts(kind: str, seed: int, count: int, pieces: Sequence[str], sentences: Sequence[str]) -> list[str]:
    """`count` texts without NUL; the same ones for the same arguments."""
    source = random.Random(f"{kind} {seed}")
    make = KINDS[kind](pieces, sentences)
    return [make(source).replace("\0", "") for _ in range(count)]


def texts_over(alphabet: Sequence[str], seed: int, count: int) -> list[str]:
    """Texts of parts of an alphabet and of separators."""
    source = random.Random(f"alphabet {seed}")
    return [_joined(source, lambda length: "".join(source.choices(alphabet, k=length))) for _ in range(count)]


def fuzz_bytes(seed: int, count: int, sentences: Sequence[str]) -> list[bytes]:
    """Bytes that are mostly no UTF-8, without NUL: random ones, and texts with bytes cut out, changed and put in."""
    source = random.Random(f"bytes {seed}")
    special = [*range(0x7E, 0x92), *range(0x9F, 0xC3), 0xDF, *range(0xE0, 0x100), 0x20, 0x61, 0x2E]
    made = []
    for _ in range(count):
        way = source.random()
        if way < 0.2:
            text = bytearray(source.randrange(1, 256) for _ in range(source.randrange(24)))
        elif way < 0.5:
            text = bytearray(source.choices(special, k=source.randrange(16)))
        else:
            text = bytearray(_random_character(source).join(["", source.choice(sentences)[:40], ""]).encode())
            for _ in range(source.randrange(1, 6)):
                at = source.randrange(len(text) + 1)
                text[at : at + source.randrange(3)] = bytes(source.choices(special, k=source.randrange(3)))
        made.append(bytes(text).replace(b"\0", b""))
    return made


def _joined(source: random.Random, word: Callable[[int], str]) -> str:
    """Zero to eight words with something between them."""
    parts = []
    for _ in range(source.choice((0, 1, 1, 2, 3, 5, 8))):
        parts += [word(source.choice((1, 1, 2, 3, 4, 6, 9))), source.choice(BETWEEN)]
    return "".join(parts)


@cache
def _unassigned() -> str:
    points = map(chr, range(0x80, sys.maxunicode + 1))
    return "".join(each for each in points if unicodedata.category(each) == "Cn")[::7] + "ab"


def _of_ranges(name: str) -> Callable[[random.Random], str]:
    """One character of a class: a range first, so that small ranges come as often as large ones."""
    ranges = RANGES[name]
    return lambda source: chr(source.randrange(*source.choice(ranges)))


def _planes(source: random.Random) -> str:
    point = source.randrange(1, 0x110000 - 0x800)
    return chr(point if point < 0xD800 else point + 0x800)


def _random_character(source: random.Random) -> str:
    """Of any class."""
    return (_planes if source.random() < 0.1 else _of_ranges(source.choice([*RANGES])))(source)


def _words_of(character: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda source: _joined(source, lambda length: "".join(character(source) for _ in range(length)))


def _emoji(source: random.Random) -> str:
    return source.choice(EMOJI_PARTS) if source.random() < 0.5 else _of_ranges("emoji")(source)


def _long(source: random.Random) -> str:
    """Words of about as many characters as a word may have."""
    words = []
    for _ in range(source.randrange(1, 4)):
        part = source.choice(LONG_PARTS)
        word = (part * 250)[: source.choice(LONG)]
        if source.random() < 0.5:
            at = source.randrange(len(word) + 1)
            word = word[:at] + source.choice(LONG_PARTS) + word[at + source.randrange(2) :]
        words += [word, source.choice(BETWEEN)]
    return "".join(words)


def _edited(sentences: Sequence[str]) -> Callable[[random.Random], str]:
    """Real sentences with characters taken out, doubled, exchanged, put in, composed and decomposed."""

    def make(source: random.Random) -> str:
        text = list(source.choice(sentences))
        for _ in range(source.randrange(1, 8)):
            at = source.randrange(len(text) + 1)
            text[at : at + source.randrange(3)] = source.choice(
                ([], [_random_character(source)], text[at : at + 1] * 2, text[at : at + 2][::-1], [" "])
            )
        edited = "".join(text)
        form = source.choice(("NFC", "NFD", "NFKC", "NFKD", "", "", "upper"))
        if form == "upper":
            return edited.upper()
        return unicodedata.normalize(form, edited) if form else edited

    return make


def _of_pieces(pieces: Sequence[str]) -> Callable[[random.Random], str]:
    """Words of the vocabulary's own pieces, so that most are known; some with an accent or a capital more."""

    def word(source: random.Random, length: int) -> str:
        made = "".join(source.choices(pieces, k=source.choice((1, 1, 2, 3, length))))
        if source.random() < 0.2:
            at = source.randrange(len(made) + 1)
            made = made[:at] + _random_character(source) + made[at:]
        return made.upper() if source.random() < 0.1 else made

    return lambda source: _joined(source, lambda length: word(source, length))


KINDS: dict[str, Callable[[Sequence[str], Sequence[str]], Callable[[random.Random], str]]] = {
    **{name: lambda _, __, name=name: _words_of(_of_ranges(name)) for name in RANGES},
    "planes": lambda _, __: _words_of(_planes),
    "emoji": lambda _, __: _words_of(_emoji),
    "unassigned": lambda _, __: _words_of(lambda source: source.choice(_unassigned())),
    "mixture": lambda _, __: _words_of(_random_character),
    "long": lambda _, __: _long,
    "edited": lambda _, sentences: _edited(sentences),
    "pieces": lambda pieces, _: _of_pieces(pieces),
}
