"""Models by name, opened, or with the reason why not; what each encodes is counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_potion.errors import EdgePotionError, InputError
from edge_potion.escaping import terminal

from .encoders import Encoder, open_encoder

__all__ = ["Opened", "open_models"]

log = logging.getLogger(__name__)


@dataclass
class Opened:
    """A model that was asked for.

    Attributes:
        name: as it was asked for.
        encoder, failure: one of the two.
        texts, seconds: what was encoded so far, and how long it took.
    """

    name: str
    encoder: Encoder | None = None
    failure: EdgePotionError | None = None
    texts: int = 0
    seconds: float = 0.0

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """As the encoder does, with its texts and seconds counted."""
        assert self.encoder is not None
        begin = time.perf_counter()
        vectors = self.encoder.encode(texts)
        self.seconds += time.perf_counter() - begin
        self.texts += len(texts)
        return vectors

    def as_json(self) -> dict[str, Any]:
        """What a report says of it before its scores."""
        encoder = self.encoder
        return {
            "name": self.name,
            "what": encoder.what if encoder else "",
            "digest": encoder.digest if encoder else "",
            "dims": encoder.dims if encoder else None,
            "size_mb": round(encoder.size_bytes / 1e6, 2) if encoder else None,
            "texts": self.texts,
            "seconds": self.seconds,
            "texts_per_s": round(self.texts / self.seconds) if self.seconds else None,
        }


def open_models(names: Sequence[str]) -> list[Opened]:
    """Open models; those that cannot be are told on stderr.

    Raises:
        InputError: there is no name.
        EdgePotionError: the first model's, where none can be opened.
    """
    if not names:
        raise InputError("no model is named, so there is nothing to evaluate")
    models = [_opened(name) for name in names]
    failures = [model.failure for model in models if model.failure]
    if len(failures) == len(models):
        raise failures[0]
    for model in models:
        if model.failure:
            log.warning("warning: %s is not scored: %s", terminal(model.name), terminal(model.failure))
    return models


def _opened(name: str) -> Opened:
    try:
        return Opened(name, encoder=open_encoder(name))
    except EdgePotionError as failure:
        reason = failure
    except (OSError, RuntimeError) as failure:  # a name that no file system takes, a home of nobody, a loop of links
        reason = InputError(f"{name} cannot be read ({getattr(failure, 'strerror', None) or failure})")
    except MemoryError:
        reason = InputError(f"there is not enough memory for {name}")
    return Opened(name, failure=reason)
