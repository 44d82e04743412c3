"""What is served, by name: models, classifiers and indexes that were opened at the start. No name opens a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge_potion.classifier import TextClassifier
from edge_potion.errors import InputError
from edge_potion.labels import is_classifier
from edge_potion.runtime import EdgeModel

from .errors import RequestError
from .settings import Settings

if TYPE_CHECKING:
    from edge_potion.search.index import Index

__all__ = ["Served", "named", "opened"]

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Served:
    """What a server serves.

    Attributes:
        models: that embed, by name; every classifier is one. The first is the default.
        classifiers: by name.
        indexes: by name.
    """

    models: Mapping[str, EdgeModel]
    classifiers: Mapping[str, TextClassifier]
    indexes: Mapping[str, Index]


def opened(settings: Settings) -> Served:
    """Open all that the settings name.

    Raises:
        InputError: two have one name; and whatever opening a model or index raises.
    """
    folders = _by_name(settings.models)
    models = {
        name: EdgeModel.from_pretrained(folder, provider="cpu", threads=settings.threads)
        for name, folder in folders.items()
    }
    classifiers = {
        name: TextClassifier.from_pretrained(folders[name], threads=settings.threads)
        for name, model in models.items()
        if is_classifier(model.bundle.config)
    }
    indexes: dict[str, Index] = {}
    if settings.indexes:
        from edge_potion.search.index import Index

        indexes = {name: Index.open(folder) for name, folder in _by_name(settings.indexes).items()}
    return Served(models, classifiers, indexes)


def _by_name(told: Sequence[str]) -> dict[str, str]:
    """Folders or hub ids by the names that callers use: NAME of NAME=FOLDER, a folder's own, or the hub id."""
    found: dict[str, str] = {}
    for each in told:
        name, equals, folder = each.partition("=")
        if not equals or "/" in name or Path(each).exists():
            folder = each
            name = Path(each).resolve().name if Path(each).is_dir() else each
        if not name or name in found:
            raise InputError(f"two are served as {name!r}; give one another name: NAME={folder}")
        found[name] = folder
    return found


def named(served: Mapping[str, Kind], name: str | None, param: str, what: str) -> tuple[str, Kind]:
    """The name and what it stands for; without a name the first.

    Raises:
        RequestError: nothing is served by this name, or nothing at all.
    """
    if name is None and served:
        return next(iter(served.items()))
    if name in served:
        assert name is not None
        return name, served[name]
    there = f"served are: {', '.join(served)}" if served else f"no {what} is served"
    raise RequestError(
        404,
        f"no {what} {'' if name is None else repr(name[:100]) + ' '}is here; {there}",
        param=param,
        code=f"{what}_not_found",
    )
