"""The head that a graph holds: what it says of it in its metadata, held to config.json, and what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_potion.errors import ModelFormatError

if TYPE_CHECKING:
    from edge_potion.bundle import Bundle
    from edge_potion.labels import Labels

__all__ = ["GIVEN", "HEAD_GRAPHS", "Output", "check_head", "head_facts"]

Output = tuple[str, list[str | int]]  # type and shape of an output, by ONNX Runtime
HEAD_FORMAT = "1"  # of the head's tables in a graph
# What graphs with a head of C labels give before their vectors; -1 stands for C.
GIVEN: dict[str, dict[str, Output]] = {
    "text": {"probabilities": ("tensor(float)", ["texts", -1]), "label": ("tensor(int64)", ["texts"])},
    "tokens": {"logits": ("tensor(float)", ["texts", -1])},
}
HEAD_GRAPHS = tuple(GIVEN)
MOST_TOLD = 3  # labels in an error


def head_facts(labels: Labels) -> dict[str, str]:
    """Of metadata_props: what a graph with a head says of it."""
    return {
        "labels": json.dumps(labels.names, ensure_ascii=False),
        "multi_label": json.dumps(labels.multi_label),
        "threshold": json.dumps(labels.threshold),
        "head_format": HEAD_FORMAT,
    }


def check_head(bundle: Bundle, graph: str, stated: Mapping[str, str]) -> None:
    """Hold what the metadata of a graph states of a head to config.json.

    Raises:
        ModelFormatError: one of the two is no classifier's, or they are of different ones.
    """
    if graph not in HEAD_GRAPHS:
        return
    wanted = head_facts(bundle.labels) if bundle.labels else {}
    found = {key: stated[key] for key in ("labels", "multi_label", "threshold", "head_format") if key in stated}
    if found == wanted:
        return
    file = f"{bundle.folder}: the graph {graph!r}"
    if bundle.labels is None:
        fault = f"{file} holds a classifier's head, of which config.json says nothing"
    elif not found:
        fault = f"{file} holds no head, and config.json has {len(bundle.labels.names)} labels"
    elif found.get("head_format") != HEAD_FORMAT:
        fault = f"{file} holds a head of format {found.get('head_format')}; {HEAD_FORMAT} was expected"
    else:
        key = next(key for key in wanted if found.get(key) != wanted[key])
        fault = f"{file} has {key} = {_told(key, found.get(key))}, and config.json {_told(key, wanted[key])}"
    raise ModelFormatError(f"{fault}; export the bundle again")


def _told(key: str, value: str | None) -> str:
    """A value for people: of labels how many, and the first."""
    if key != "labels" or value is None:
        return str(value)[:100]
    try:
        names = [str(name)[:40] for name in json.loads(value)]
    except (ValueError, TypeError):
        return value[:100]
    return f"{len(names)} ({', '.join(names[:MOST_TOLD])}{', ...' * (len(names) > MOST_TOLD)})"
