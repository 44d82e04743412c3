"""Contrast: train a table on (sentence, target vector) pairs; checkpoints, early stopping, the best weights.

Stages 3 and 4 both run it, with other targets. A run that was killed goes on at its last checkpoint and ends in the
same bits: the order of the sentences is a function of seed and epoch, and nothing else is random.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_potion.errors import InputError, RecipeError
from edge_potion.progress import progress_bar
from edge_potion.static_model import StaticModel
from edge_potion.writing import file_written_whole

from .curves import Curves
from .losses import LOSSES, own_target_share
from .pairs import Pairs
from .recipe import ContrastRecipe
from .run_folder import WORK
from .student import Student

__all__ = ["CHECKPOINT", "Fit", "Goal", "Split", "contrast", "split_rows"]

log = logging.getLogger("edge_potion")

CHECKPOINT = f"{WORK}/checkpoint.safetensors"
STEPS_PER_LINE = 25  # of the log
VALIDATION_SHARE = 0.1  # at most
SPLIT_STREAM, ORDER_STREAM = 0, 1  # of random numbers, under one seed


@dataclass(frozen=True)
class Goal:
    """Target vectors (N, D) of the pairs, and the weight of the loss against them."""

    targets: np.ndarray
    weight: float


@dataclass(frozen=True)
class Split:
    """Which rows are trained on, and which are held out; ascending."""

    training: np.ndarray
    held_out: np.ndarray


@dataclass(frozen=True)
class Progress:
    """Where a training run stands, beside its tensors.

    Attributes:
        step: updates made.
        best_loss: the lowest validation loss so far, reached at `best_step`, where the own target was the nearest of
            the batch for a share `best_accuracy` of the held-out rows.
        stale: evaluations since then.
    """

    step: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    best_accuracy: float = 0.0
    stale: int = 0


@dataclass(frozen=True)
class Fit:
    """The best table (V, D) float32, token weights folded in, and how it came about."""

    table: np.ndarray
    progress: Progress


def contrast(
    student: StaticModel,
    pairs: Pairs,
    goals: Sequence[Goal],
    recipe: ContrastRecipe,
    folder: Path,
    *,
    title: str,
    device: str = "cpu",
    show_progress: bool = False,
) -> Fit:
    """Train the table of `student` so that a sentence's vector comes near its targets.

    Args:
        student: where training begins; it is not changed.
        pairs: the sentences as token ids of its tokenizer.
        goals: the targets, and the weight of each.
        recipe: loss, learning rate, epochs and so on.
        folder: an existing one, for `log.jsonl`, the pictures of `Curves`, and the checkpoint in its `work`, which is
            gone on from.
        title: of the bar and the picture.
        device: torch device.
        show_progress: a bar on stderr.

    Raises:
        RecipeError: a loss became NaN or inf.
        InputError: the folder cannot be written to.
    """
    split = split_rows(len(pairs), recipe)
    (folder / WORK).mkdir(exist_ok=True)
    trained = Student.of(student.table, recipe.token_weights, device)
    batch = min(recipe.batch_size, len(split.training))
    if batch < recipe.batch_size:
        log.warning("batch_size: %d were asked for, and there are %d sentences to train on", recipe.batch_size, batch)
    steps_an_epoch = len(split.training) // batch  # a smaller last batch would have an easier loss: it is left out
    if steps_an_epoch < recipe.evaluations:
        log.warning("evaluations: %d an epoch were asked for, and it has %d steps", recipe.evaluations, steps_an_epoch)
    steps = steps_an_epoch * recipe.epochs
    best = trained.folded()
    progress = _resume(folder / CHECKPOINT, trained, best)
    curves = Curves(folder, after_step=progress.step)
    order = np.empty(0, np.int64)
    with progress_bar(
        show_progress,
        total=steps * batch,
        initial=progress.step * batch,
        desc=title,
        unit=" rows",
    ) as bar:
        while progress.step < steps and progress.stale < recipe.patience:
            epoch, place = divmod(progress.step, steps_an_epoch)
            if place == 0 or not len(order):
                order = np.random.default_rng([recipe.seed, ORDER_STREAM, epoch]).permutation(split.training)
            rows = order[place * batch : (place + 1) * batch]
            rate = recipe.learning_rate * (1 - progress.step / steps)
            loss = trained.update(pairs.bags(rows), _loss_of(goals, rows, recipe, device), rate)
            progress = replace(progress, step=progress.step + 1)
            bar.update(batch)
            if not np.isfinite(loss):
                raise RecipeError(
                    f"the loss is {loss} at step {progress.step}; lower learning_rate ({recipe.learning_rate})"
                )
            if progress.step % STEPS_PER_LINE == 0:
                curves.add(step=progress.step, epoch=progress.step / steps_an_epoch, rate=rate, loss=loss)
            if _is_looked_at(progress.step, steps_an_epoch, recipe.evaluations):
                progress = _evaluate(trained, best, pairs, goals, split.held_out, recipe, progress, curves)
                bar.set_postfix(validation=f"{progress.best_loss:.4f}")
                _save(folder / CHECKPOINT, trained, best, progress)
    curves.draw(f"{title} of {folder.resolve().parent.name}", _caption(recipe, len(split.training), batch))
    log.info("best validation loss %.4f at step %d of %d", progress.best_loss, progress.best_step, steps)
    return Fit(best.cpu().numpy(), progress)


def _caption(recipe: ContrastRecipe, rows: int, batch: int) -> str:
    """What a picture of the losses says of them."""
    return (
        f"{recipe.loss} loss, learning rate {recipe.learning_rate:g}, {rows:,} sentences, "
        f"batches of {batch:,}, at most {recipe.epochs} epochs"
    )


def _is_looked_at(step: int, steps_an_epoch: int, evaluations: int) -> bool:
    """Whether the held-out rows are looked at after a step: `evaluations` times an epoch, at even distances."""
    nearest = round(step * evaluations / steps_an_epoch)
    return any(round(steps_an_epoch * look / evaluations) == step for look in range(max(nearest - 1, 1), nearest + 2))


def split_rows(count: int, recipe: ContrastRecipe) -> Split:
    """Hold out `validation_rows` of `count` rows (a tenth at most, two at least), the same for the same seed."""
    held_out = max(min(recipe.validation_rows, int(count * VALIDATION_SHARE)), 2)
    shuffled = np.random.default_rng([recipe.seed, SPLIT_STREAM]).permutation(count)
    return Split(np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out]))


def _loss_of(goals: Sequence[Goal], rows: np.ndarray, recipe: ContrastRecipe, device: str) -> Any:
    """A function from the student's vectors (B, D) of `rows` to the weighted sum of the losses against each goal."""
    targets = [_on(device, goal, rows) for goal in goals]

    def loss(pooled: Any) -> Any:
        return sum(
            goal.weight * LOSSES[recipe.loss](pooled, target, recipe)
            for goal, target in zip(goals, targets, strict=True)
        )

    return loss


def _on(device: str, goal: Goal, rows: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(goal.targets[rows]).to(device).float()


def _evaluate(
    trained: Student,
    best: Any,
    pairs: Pairs,
    goals: Sequence[Goal],
    held_out: np.ndarray,
    recipe: ContrastRecipe,
    progress: Progress,
    curves: Curves,
) -> Progress:
    """Look at the held-out rows, batch by batch; keep the table in `best` when it never was better."""
    losses, shares, sizes = [], [], []
    for begin in range(0, len(held_out), recipe.batch_size):
        rows = held_out[begin : begin + recipe.batch_size]
        pooled = trained.pool(pairs.bags(rows))
        losses.append(float(_loss_of(goals, rows, recipe, str(pooled.device))(pooled)))
        shares.append(own_target_share(pooled, _on(str(pooled.device), goals[0], rows)))
        sizes.append(len(rows))
    loss, accuracy = float(np.average(losses, weights=sizes)), float(np.average(shares, weights=sizes))
    curves.add(step=progress.step, validation_loss=loss, validation_accuracy=accuracy)
    if not np.isfinite(loss):
        raise RecipeError(f"the validation loss is {loss} at step {progress.step}; lower learning_rate")
    if loss >= progress.best_loss:
        return replace(progress, stale=progress.stale + 1)
    best.copy_(trained.folded())
    return replace(progress, best_loss=loss, best_step=progress.step, best_accuracy=accuracy, stale=0)


def _save(file: Path, trained: Student, best: Any, progress: Progress) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {name: tensor.cpu() for name, tensor in {**trained.tensors(), "best": best}.items()}
    metadata = {"progress": json.dumps(asdict(progress))}
    metadata["sha256"] = _sha256(tensors, metadata["progress"])
    with file_written_whole(file) as beside:
        try:
            save_file(tensors, beside, metadata=metadata)
        except SafetensorError as failure:  # a full disk, which is no OSError there
            raise InputError(f"cannot write {file} ({failure})") from failure


def _sha256(tensors: Mapping[str, Any], progress: str) -> str:
    digest = hashlib.sha256(progress.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().numpy().data)
    return digest.hexdigest()


def _resume(file: Path, trained: Student, best: Any) -> Progress:
    """Where the checkpoint stands, its tensors copied into `trained` and `best`; the beginning when there is none."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        return Progress()
    try:
        with safe_open(file, framework="pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no dict
            metadata = stored.metadata() or {}
            progress = Progress(**json.loads(metadata["progress"]))
        kept = metadata.get("sha256", "")  # "" by an earlier version
        if kept and kept != _sha256(tensors, metadata["progress"]):
            raise ValueError("its checksum is another")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as failure:
        log.warning("%s is damaged (%s); training begins anew", file.name, failure)
        return Progress()
    trained.load(tensors, progress.step)
    best.copy_(tensors["best"])
    log.info("going on at step %d", progress.step)
    return progress
