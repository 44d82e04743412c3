"""A text -> its words, as BM25 counts them: folded, stemmed, and without those that say nothing."""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from edge_potion.errors import InputError

__all__ = ["NO_LANGUAGE", "UNSPACED", "Word", "Words"]

NO_LANGUAGE = "none"  # words are compared as they stand
# Of 1980, which never changes as Snowball's own of English does; it takes words without accents. Of other languages
# those of Snowball, by its names.
STEMMERS = {"english": "porter"}
# Snowball's list of function words. Its contractions are taken apart, as those of a text are.
ENGLISH = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
itself they them their theirs themselves what which who whom this that these those am is are was were be been being
have has had having do does did doing would should could ought i'm you're he's she's it's we're they're i've you've
we've they've i'd you'd he'd she'd we'd they'd i'll you'll he'll she'll we'll they'll isn't aren't wasn't weren't
hasn't haven't hadn't doesn't don't didn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't let's that's
who's what's here's there's when's where's why's how's a an the and but if or because as until while of at by for with
about against between into through during before after above below to from up down in out on off over under again
further then once here there when where why how all any both each few more most other some such no nor not only own
same so than too very
"""
STOP_WORDS = {"english": frozenset(ENGLISH.replace("'", " ").split())}
# Scripts that are written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
ACCENTS = re.compile("[\u0300-\u036f]")
IGNORED = re.compile("[\u00ad\u200c\u200d\u2060\ufeff]")  # soft hyphens and joiners: how a word is drawn
ASCII_WORD = re.compile(r"\w+", re.ASCII)
LONGEST_WORD = 64  # characters: longer ones are data, of which the beginning tells enough
MOST_REMEMBERED = 2**20  # words whose stems are kept
STEMMING = threading.Lock()  # a stemmer holds the word that it is at: two threads would mix theirs


class Word(NamedTuple):
    """A word of a text.

    Attributes:
        shown: as it stands there, without case.
        stem: what it is compared by; "" of one that says nothing.
    """

    shown: str
    stem: str


class Words:
    """Takes texts apart, in one language.

    Args:
        language: "english", another that Snowball has a stemmer for, or "none".

    Raises:
        InputError: there is no such language.
    """

    def __init__(self, language: str = "english") -> None:
        import snowballstemmer  # PyStemmer does its work where it is installed: the same stems, faster

        known = (NO_LANGUAGE, *snowballstemmer.algorithms())
        if language not in known or language == "porter":
            listed = ", ".join(name for name in known if name != "porter")
            raise InputError(f"there is no language {language!r} to stem words of; one of {listed} was expected")
        self.language = language
        self._stop = STOP_WORDS.get(language, frozenset())
        stemmer = None if language == NO_LANGUAGE else snowballstemmer.stemmer(STEMMERS.get(language, language))
        self._stemmed = stemmer.stemWord if stemmer else _as_it_is
        self._stems: dict[str, str] = {}

    def stems(self, text: str) -> list[str]:
        """The stems of a text in their order, without words that say nothing."""
        parts = _parts(text)
        stems = list(map(self._stems.get, parts))
        if None in stems:
            stems = list(map(self._stem_of, parts))
        return list(filter(None, stems))

    def words(self, text: str) -> list[Word]:
        """The words of a text, in their order."""
        return [Word(part, self._stem_of(part)) for part in _parts(text)]

    def _stem_of(self, word: str) -> str:
        """What a word is compared by; "" of one that says nothing."""
        known = self._stems.get(word)
        if known is not None:
            return known
        if len(self._stems) >= MOST_REMEMBERED:
            self._stems.clear()
        letters = word[:LONGEST_WORD]
        if self.language in STEMMERS:
            letters = _without_accents(letters)
        with STEMMING:
            stem = "" if word in self._stop else _without_accents(self._stemmed(letters))
        if len(word) <= LONGEST_WORD:
            self._stems[word] = stem
        return stem


def _as_it_is(word: str) -> str:
    return word


def _without_accents(stem: str) -> str:
    """Of Latin, Greek and Cyrillic letters."""
    if stem.isascii():
        return stem
    return unicodedata.normalize("NFC", ACCENTS.sub("", unicodedata.normalize("NFD", stem)))


def _parts(text: str) -> list[str]:
    """The words of a text without case: letters, digits, their signs; pairs of letters of scripts without spaces."""
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    word, unspaced = _patterns()
    parts: list[str] = []
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", IGNORED.sub("", text)).casefold())
    for run in word.findall(plain):
        if len(run) > 1 and unspaced.match(run):
            parts += map("".join, pairwise(run))
        else:
            parts.append(run)
    return parts


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a word is, and how one of a script without spaces begins. Python's own \\w ends a word at a vowel sign."""
    marks = [number for number in range(0x300, 0x20000) if unicodedata.category(chr(number)) in ("Mn", "Mc")]
    ranges: list[list[int]] = []
    for number in marks:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    signs = "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
    unspaced = f"[{UNSPACED}]"
    return re.compile(f"{unspaced}+|(?:(?!{unspaced})[\\w{signs}])+"), re.compile(unspaced)
