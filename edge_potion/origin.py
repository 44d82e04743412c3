"""What edge-potion wrote into a model's config.json: how it was made, and what it scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["origin_of", "scores_of", "teachers_of"]


def origin_of(config: Mapping[str, Any]) -> dict[str, str]:
    """What edge-potion wrote into a config.json of how the model was made: teacher, revision, fingerprint, version."""
    origin = config.get("edge_potion")
    return {key: str(value) for key, value in origin.items()} if isinstance(origin, dict) else {}


def teachers_of(config: Mapping[str, Any]) -> list[str]:
    """The teachers that a config.json names: the first, and the others whose vectors were joined to its own."""
    origin = config.get("edge_potion")
    if not isinstance(origin, dict):
        return []
    others = origin.get("others")
    told = [origin, *(others if isinstance(others, list) else [])]
    return [str(each["teacher"]) for each in told if isinstance(each, dict) and each.get("teacher")]


def scores_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The scores that a config.json tells: for each number of dimensions, points by kind of task."""
    origin = config.get("edge_potion")
    scores = origin.get("scores") if isinstance(origin, dict) else None
    return {dims: each for dims, each in scores.items() if isinstance(each, dict)} if isinstance(scores, dict) else {}
