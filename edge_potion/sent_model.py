"""An EdgeModel that is sent to another process: as the name of its folder, which is opened again there."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_potion.errors import EdgePotionError, ModelFormatError
from edge_potion.find import BUILT_IN, COMMIT, find_folder

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["name_elsewhere", "opened_again"]

SENT = "an EdgeModel travels to other processes as the name of its folder, which must hold the same files there"


def name_elsewhere(model: str | Path | None, revision: str | None, folder: Path) -> tuple[str | None, str | None]:
    """Name and revision that `folder`, which was found for `model`, is found by from anywhere.

    The absolute path of a folder, or a hub id and its revision, or None for the built-in model.
    """
    if folder == find_folder(None):
        return None, None
    if Path(str(model)).expanduser().is_dir():
        return str(folder.resolve()), None
    return str(model), folder.name if COMMIT.fullmatch(folder.name) else revision


@lru_cache(maxsize=1)  # a pool sends the same model with every task
def opened_again(
    name: str | None,
    revision: str | None,
    provider: str,
    options: tuple[tuple[str, Any], ...],
    threads: int | None,
    graph: Any,
    precision: Any,
    fingerprint: str,
    engine: str = "auto",  # which pickles of 0.1 do not tell
) -> EdgeModel:
    """A model that was sent, in the process that it was sent to."""
    from edge_potion.runtime import EdgeModel

    try:
        model = EdgeModel.from_pretrained(
            name,
            provider=(provider, dict(options)),
            precision=precision,
            graph=graph,
            threads=threads,
            revision=revision,
            engine=engine,
        )
    except EdgePotionError as reason:
        raise ModelFormatError(f"{name or BUILT_IN} cannot be opened again: {reason} ({SENT})") from reason
    if model.fingerprint != fingerprint:
        raise ModelFormatError(f"{name or BUILT_IN} was replaced or changed since the model was loaded ({SENT})")
    return model
