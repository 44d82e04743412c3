"""Credits: which teachers a model was trained from, how much each counted, and under which licences they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .teacher_name import UNNAMED

__all__ = ["Credit", "as_header", "as_words"]

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Credit:
    """What is told of a teacher.

    Attributes:
        teacher: its name.
        licence: as its card names it, "" where none is known.
        revision: commit of the hub, "" of a folder.
        weight: how much its cosines count.
    """

    teacher: str
    licence: str
    revision: str = ""
    weight: float = 1.0


def as_words(teachers: Sequence[Credit]) -> list[str]:
    """Each teacher by its name, with its weight where that is not 1, for a line of a summary."""
    return [each.teacher if each.weight == 1 else f"{each.teacher} x {each.weight:g}" for each in teachers]


def as_header(teachers: Sequence[Credit]) -> dict[str, Any]:
    """What the metadata of a card says of them: `base_model`, and `license` in the hub's words.

    Where licences differ, or one is not known, the hub wants "other" with a name: that of them all.
    """
    named = [each.teacher for each in teachers if not each.teacher.startswith(UNNAMED)]
    licences = list(dict.fromkeys(each.licence or UNKNOWN for each in teachers))
    header: dict[str, Any] = {}
    if named:
        header["base_model"] = named[0] if len(named) == 1 else named
    if len(licences) > 1:
        header |= {"license": "other", "license_name": "-and-".join(licences)}
    elif licences != [UNKNOWN]:
        header["license"] = licences[0]
    return header
