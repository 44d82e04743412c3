"""The student: a trainable table of token vectors, pooled as an EmbeddingBag, updated only where a batch touched it.

A batch touches a few thousand rows of tens of thousands. They are gathered into a small table first, so that the
backward pass and the optimizer work on those rows alone; with a dense optimizer, nearly all of a step's time goes into
rows that do not occur in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pairs import Bags

__all__ = ["Student"]

BETAS = (0.9, 0.999)  # Adam's
EPS = 1e-8
CPU_CHUNK = 1024  # rows updated at once: three of 1024 x 512 floats fit a CPU's cache; a GPU takes all at once


@dataclass
class Student:
    """A table in training, on a torch device.

    Attributes:
        parameters: "table" (V, D) float32, and "weights" (V, 1) float32 where token weights are learned; a token's
            vector is its row times its weight.
        moments: Adam's first and second moment of each parameter, by "table.first", "table.second", ...
        step: how many updates were made.
    """

    parameters: dict[str, Any]
    moments: dict[str, Any]
    step: int = 0

    @classmethod
    def of(cls, table: np.ndarray, token_weights: bool, device: str) -> Student:
        """A student that begins at `table` (V, D) float32, with weights of 1."""
        import torch

        parameters = {"table": torch.tensor(table, device=device)}
        if token_weights:
            parameters["weights"] = torch.ones(len(table), 1, device=device)
        return cls(
            parameters,
            {
                f"{name}.{each}": torch.zeros_like(value)
                for name, value in parameters.items()
                for each in ("first", "second")
            },
        )

    def tensors(self) -> dict[str, Any]:
        """Everything a checkpoint must hold beside `step`."""
        return {**self.parameters, **self.moments}

    def load(self, tensors: Mapping[str, Any], step: int) -> None:
        """Go back to a state that `tensors` gave."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])
        self.step = step

    def folded(self) -> Any:
        """(V, D): the table with the token weights multiplied in."""
        table = self.parameters["table"]
        return table * self.parameters["weights"] if "weights" in self.parameters else table.clone()

    def pool(self, bags: Bags) -> Any:
        """(B, D): the mean of each bag's rows, without gradients."""
        import torch

        with torch.no_grad():
            return self._pooled(bags)[0]

    def update(self, bags: Bags, loss_of: Callable[[Any], Any], learning_rate: float) -> float:
        """One step of Adam on the rows of `bags` along the gradient of `loss_of(pooled)`; the loss before it."""
        import torch

        self.step += 1
        with torch.enable_grad():
            pooled, rows, touched = self._pooled(bags)
            loss = loss_of(pooled)
            gradients = torch.autograd.grad(loss, list(touched.values()))
        for name, gradient in zip(touched, gradients, strict=True):
            self._move(name, rows, gradient, learning_rate)
        return float(loss.detach())

    def _pooled(self, bags: Bags) -> tuple[Any, Any, dict[str, Any]]:
        """The pooled vectors, the ids of the rows they hang on, and those rows of each parameter, as leaves."""
        import torch
        import torch.nn.functional as F

        device = self.parameters["table"].device
        ids, starts = torch.from_numpy(bags.ids).to(device), torch.from_numpy(bags.starts).to(device)
        occurs = torch.zeros(len(self.parameters["table"]), dtype=torch.bool, device=device)
        occurs[ids] = True
        rows = occurs.nonzero()[:, 0]  # (U,) the tokens of this batch, ascending
        place_of = torch.empty(len(occurs), dtype=torch.int64, device=device)
        place_of[rows] = torch.arange(len(rows), device=device)
        touched = {name: value.index_select(0, rows).requires_grad_() for name, value in self.parameters.items()}
        local = touched["table"] * touched["weights"] if "weights" in touched else touched["table"]  # (U, D)
        return F.embedding_bag(place_of[ids], local, starts, mode="mean"), rows, touched

    def _move(self, name: str, rows: Any, gradient: Any, learning_rate: float) -> None:
        value, first, second = self.parameters[name], self.moments[f"{name}.first"], self.moments[f"{name}.second"]
        correction = [1 - beta**self.step for beta in BETAS]
        size = learning_rate / correction[0]
        for begin in range(0, len(rows), CPU_CHUNK if value.device.type == "cpu" else len(rows)):
            part = slice(begin, begin + CPU_CHUNK if value.device.type == "cpu" else None)
            ids, slope = rows[part], gradient[part]
            mean = first.index_select(0, ids).lerp_(slope, 1 - BETAS[0])
            square = second.index_select(0, ids).mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            first.index_copy_(0, ids, mean)
            second.index_copy_(0, ids, square)
            scale = square.div_(correction[1]).sqrt_().add_(EPS)
            value.index_copy_(0, ids, value.index_select(0, ids).addcdiv_(mean, scale, value=-size))
