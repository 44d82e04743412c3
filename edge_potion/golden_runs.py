"""The golden texts through .ort files, and through the heads of open models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from edge_potion.calls import FEEDS, joined
from edge_potion.errors import ModelFormatError
from edge_potion.golden import Golden
from edge_potion.graph_parts import VECTORS
from edge_potion.head_in_graph import GIVEN
from edge_potion.ort_files import FIXED, LONGEST_FIXED, OrtFile
from edge_potion.runtime import EdgeModel
from edge_potion.tokens import TokenIds

__all__ = ["head_outputs", "run_golden"]

TEXTS_A_CALL = 64  # of a head: it gathers a row for every gram of a call


def run_golden(held: OrtFile, golden: Golden) -> tuple[Golden, dict[str, np.ndarray]]:
    """The golden texts that an .ort file takes, and what it gives for them on the CPU, by the outputs' names.

    All of them, but for a graph of fixed shape, which has room for so many tokens.

    Raises:
        ModelFormatError: it takes or gives something else than our graphs do.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(held.file), providers=["CPUExecutionProvider"])
    # Not those of tokens, which are as many as the longest text of a call has.
    names = [output.name for output in session.get_outputs() if len(output.shape) < 3]
    if VECTORS not in names:
        raise ModelFormatError(f"{held.file} gives no {VECTORS}; export the bundle again")
    if held.graph == FIXED:
        room = session.get_inputs()[0].shape[-1]
        if type(room) is not int or not 0 < room <= LONGEST_FIXED:
            raise ModelFormatError(f"{held.file} takes {room!r} tokens; 1 to {LONGEST_FIXED} were expected")
        golden = golden.at([place for place, ids in enumerate(golden.ids) if len(ids) <= room])
        outputs = _run(session, names, (_fixed_feed(ids, room) for ids in golden.ids))
    else:
        outputs = _run(session, names, _calls(held.graph, golden))
    vectors = outputs[VECTORS]
    if vectors.shape[1:] != golden.vectors.shape[1:] or vectors.dtype != np.float32:
        raise ModelFormatError(f"{held.file} gives no float32 vectors of its model's width; export the bundle again")
    if golden.head and held.graph != "bag" and not {"logits", "probabilities"} & set(names):
        raise ModelFormatError(f"{held.file} holds no head; export the bundle again")
    return golden, outputs


def head_outputs(model: EdgeModel, golden: Golden) -> dict[str, np.ndarray]:
    """What the head in the graph of an open model gives for the golden texts, by the outputs' names; {} without one."""
    if golden.head is None or model.graph not in GIVEN:
        return {}
    if model.native:
        return {"logits": model.native.classify(golden.texts, model.native.max_tokens)[0]}
    assert model.on_provider is not None  # one of the two runs it
    return _run(model.on_provider.open_graph.session.session, list(GIVEN[model.graph]), _calls(model.graph, golden))


def _run(session: Any, names: list[str], calls: Iterator[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    parts = [session.run(names, feeds) for feeds in calls]
    return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}


def _calls(graph: str, golden: Golden) -> Iterator[Mapping[str, np.ndarray]]:
    for begin in range(0, len(golden.texts), TEXTS_A_CALL):
        if graph == "text":
            yield {"text": joined(golden.texts[begin : begin + TEXTS_A_CALL])}
            continue
        rows = golden.ids[begin : begin + TEXTS_A_CALL]
        lengths = np.array([len(ids) for ids in rows], np.int64)
        flat = np.array([token for ids in rows for token in ids], np.int64)
        yield FEEDS[graph](TokenIds(flat, lengths), np.arange(len(lengths)))


def _fixed_feed(ids: list[int], max_tokens: int) -> dict[str, np.ndarray]:
    grid, mask = np.zeros((2, 1, max_tokens), np.int32)
    grid[0, : len(ids)], mask[0, : len(ids)] = ids, 1
    return {"input_ids": grid, "attention_mask": mask}
