"""Losses between student vectors and target vectors; each takes two (B, D) float32 tensors and gives a scalar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .recipe import ContrastRecipe

__all__ = ["LOSSES", "own_target_share"]

Loss = Callable[[Any, Any, ContrastRecipe], Any]


def _contrastive(student: Any, target: Any, recipe: ContrastRecipe) -> Any:
    """Cross-entropy of choosing one's own target among the batch's, by cosine / temperature (Tokenlearn's)."""
    import torch
    import torch.nn.functional as F

    return F.cross_entropy(
        _cosines(student, target) / recipe.temperature, torch.arange(len(student), device=student.device)
    )


def _cosine(student: Any, target: Any, recipe: ContrastRecipe) -> Any:
    """1 - cosine, the mean over the batch."""
    import torch.nn.functional as F

    return 1 - F.cosine_similarity(student, target, dim=1).mean()


def _soft(student: Any, target: Any, recipe: ContrastRecipe) -> Any:
    """Kullback-Leibler divergence of each row's similarities to the rest of the batch, as the target has them.

    Both sides are softmax(cosine / temperature) over the other rows, so that a student learns how near which sentences
    are, where the contrastive loss asks for one's own target alone (similarity-preserving distillation: SEED, Fang et
    al. 2021).
    """
    import torch
    import torch.nn.functional as F

    itself = torch.eye(len(student), dtype=torch.bool, device=student.device)
    ours, theirs = (
        (_cosines(each, each) / recipe.temperature).masked_fill(itself, float("-inf")) for each in (student, target)
    )
    wanted = F.softmax(theirs, dim=1)
    difference = (F.log_softmax(theirs, dim=1) - F.log_softmax(ours, dim=1)).masked_fill(itself, 0)
    return (wanted * difference).sum(dim=1).mean()


def _mse(student: Any, target: Any, recipe: ContrastRecipe) -> Any:
    """Squared difference, the mean over all values; vectors keep their lengths."""
    import torch.nn.functional as F

    return F.mse_loss(student, target)


LOSSES: Mapping[str, Loss] = {"contrastive": _contrastive, "cosine": _cosine, "soft": _soft, "mse": _mse}


def own_target_share(student: Any, target: Any) -> float:
    """Share of the rows whose own target is the nearest of the batch's, 0..1."""
    import torch

    nearest = _cosines(student, target).argmax(dim=1)
    return float((nearest == torch.arange(len(student), device=student.device)).float().mean())


def _cosines(student: Any, target: Any) -> Any:
    """(B, B): row i holds the cosines of student i to every target."""
    import torch.nn.functional as F

    return F.normalize(student, dim=1) @ F.normalize(target, dim=1).T
