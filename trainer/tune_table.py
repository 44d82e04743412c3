"""Train a model's table together with the head of a classifier, from where the head alone ended.

The whole table moves, so few passes are enough and more of them learn the rows by heart: on the suite's tasks one or
two are best, at a step that is small beside the table's values. Rows that are held out say when to stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_potion.tokens import TokenIds

from .logistic import Examples, Weights

__all__ = ["MOST_PASSES", "HeldOutRows", "Tuned", "tune_table"]

BATCH = 256
MOST_PASSES = 4
STEP = 0.003  # of Adam, for the head
TABLE_STEP = 10 * STEP  # in units of the table's root mean square


@dataclass(frozen=True)
class HeldOutRows:
    """Rows that say when to stop."""

    bags: TokenIds
    grams: Any
    targets: np.ndarray


@dataclass(frozen=True)
class Tuned:
    """A table and a head.

    Attributes:
        table: (V, D) float32; the rows of what stands in no text are as they were.
        weights: of the head.
        passes: over the rows.
        logits: (M, C) float32 of the rows that were held out; empty where none were.
    """

    table: np.ndarray
    weights: Weights
    passes: int
    logits: np.ndarray


def tune_table(
    table: np.ndarray,
    bags: TokenIds,
    examples: Examples,
    start: Weights,
    penalties: tuple[float, float],
    random: np.random.Generator,
    held_out: HeldOutRows | None = None,
    passes: int = MOST_PASSES,
) -> Tuned:
    """Train table and head for some passes, or until what is held out gets worse.

    Args:
        table: (V, D) float32; rows of zeros, as of [UNK], stay zeros.
        bags: rows of the table in each of the N texts.
        examples: their grams, targets and weights; their vectors are made from the table.
        start: where the head begins.
        penalties: of the weights on vectors and on grams, as `regress` has them.
        random: shuffles the rows.
        held_out: the best pass by these is kept; all passes are made where there are none.
        passes: most passes.
    """
    import torch

    used = np.unique(bags.flat)
    used = used[table[used].any(axis=1)]
    place_of = np.full(len(table), len(used), np.int64)  # behind them is a row of zeros
    place_of[used] = np.arange(len(used))
    rows = torch.nn.Parameter(torch.from_numpy(np.vstack([table[used], np.zeros((1, table.shape[1]), np.float32)])))
    head = [torch.nn.Parameter(torch.from_numpy(each.copy())) for each in (start.dense, start.bias, start.rows)]
    step = TABLE_STEP * float(np.sqrt(np.square(table[used]).mean(dtype=np.float64)) if len(used) else 1)
    optimizer = torch.optim.Adam([{"params": [rows], "lr": step}, {"params": head, "lr": STEP}])
    best: Tuned | None = None
    at_start = least = np.inf
    if held_out:
        with torch.no_grad():
            told = _held_out_logits(rows, head, place_of, held_out)
            at_start = float(_losses(told, torch.from_numpy(held_out.targets), examples.multi_label).mean())
    for number in range(1, passes + 1):
        order = random.permutation(len(bags.lengths))
        for begin in range(0, len(order), BATCH):
            places = order[begin : begin + BATCH]
            logits = _logits(rows, head, place_of, bags.take(places), examples.grams[places])
            targets = torch.from_numpy(examples.targets[places])
            losses = _losses(logits, targets, examples.multi_label) * torch.from_numpy(examples.weights[places])
            penalty = sum(factor / 2 * each.square().sum() for factor, each in zip(penalties, head[::2], strict=True))
            optimizer.zero_grad()
            (losses.mean() + penalty).backward()
            rows.grad[-1] = 0  # type: ignore[index]  # there is one after backward
            optimizer.step()
        with torch.no_grad():
            told = _held_out_logits(rows, head, place_of, held_out) if held_out else torch.empty((0, len(start.bias)))
            if held_out:
                loss = float(_losses(told, torch.from_numpy(held_out.targets), examples.multi_label).mean())
                if loss >= least:
                    break
                least = loss
            tuned = table.copy()
            tuned[used] = rows[:-1].numpy()
            dense, bias, grams = (each.detach().numpy().copy() for each in head)
            best = Tuned(tuned, Weights(dense, bias, grams), number, told.numpy())
            if held_out and least >= at_start:  # it helps nothing
                break
    assert best is not None  # of the first pass
    return best


def _logits(rows: Any, head: Any, place_of: np.ndarray, bags: TokenIds, grams: Any) -> Any:
    """(b, C) of some texts."""
    from torch import from_numpy
    from torch.nn.functional import embedding_bag, normalize

    dense, bias, weights = head
    sums = embedding_bag(from_numpy(place_of[bags.flat]), rows, from_numpy(bags.starts), mode="sum")
    logits = normalize(sums, dim=1) @ dense + bias
    if not len(weights):
        return logits
    where, begins = (from_numpy(each.astype(np.int64)) for each in (grams.indices, grams.indptr[:-1]))
    return logits + embedding_bag(where, weights, begins, mode="sum", per_sample_weights=from_numpy(grams.data))


def _losses(logits: Any, targets: Any, multi_label: bool) -> Any:
    """(b,) of each row."""
    from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

    if multi_label:
        return binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)
    return -(log_softmax(logits, dim=1) * targets).sum(dim=1)


def _held_out_logits(rows: Any, head: Any, place_of: np.ndarray, held_out: HeldOutRows) -> Any:
    import torch

    parts = []
    for begin in range(0, len(held_out.bags.lengths), 10 * BATCH):
        places = np.arange(begin, min(begin + 10 * BATCH, len(held_out.bags.lengths)))
        parts.append(_logits(rows, head, place_of, held_out.bags.take(places), held_out.grams[places]))
    return torch.cat(parts)
