"""A word of warning where texts are in another script than the model's language is written in."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from itertools import chain

from edge_potion.bundle import Bundle
from edge_potion.origin import origin_of

__all__ = ["is_foreign", "watched"]

log = logging.getLogger("edge_potion")

LATIN = re.compile("[a-zA-Zª-ɏḀ-ỿⱠ-Ɀ꜠-ꟿﬀ-ﬆＡ-Ｚａ-ｚ]")
# What is looked at, of many texts.
TEXTS = 100
CHARACTERS = 20_000


def is_foreign(text: str, bundle: Bundle) -> bool:
    """Whether the card of a model says that it is English, and most letters of a text are not Latin; warns if so.

    No more is asked than which script it is: French goes by as English.
    """
    if not origin_of(bundle.config).get("limits", "").startswith("English") or text.isascii():
        return False
    letters = sum(map(str.isalpha, text))
    foreign = letters > 2 * sum(map(str.isalpha, LATIN.findall(text)))
    if foreign:
        log.warning(
            "warning: %s is a model of English, and most letters here are of another script, of which it knows little",
            bundle.folder.name,
        )
    return foreign


def watched(texts: Iterator[str], bundle: Bundle) -> Iterator[str]:
    """The same texts; warns, before the first of them is given, where the first are foreign."""
    head: list[str] = []
    size = 0
    for text in texts:
        head.append(text)
        size += len(text)
        if len(head) == TEXTS or size >= CHARACTERS:
            break
    is_foreign("".join(head)[:CHARACTERS], bundle)
    return chain(head, texts)
