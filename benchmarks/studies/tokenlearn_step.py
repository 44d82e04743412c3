"""One epoch of Tokenlearn 0.2.1's training; `training.py` runs this file in the environment of `tokenlearn_train.py`.

    python tokenlearn_step.py FOLDER LEARNING_RATE STEPS

Its module, its data loader and its training step, copied line by line from `tokenlearn.pretrain.train_supervised`, with
two changes: token ids and targets come ready made, and the loss is the contrastive one in the place of MSE. Its
progress bar and its validation are left out, which only helps it.

FOLDER holds what `training.py` wrote: ids.npy (T,) int32, starts.npy (N + 1,) int64, targets.npy (N, D) float32,
table.npy (V, D) float32, and settings.json. Trained tables are written there, and a JSON of the times is printed.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_STEPS = 3
PARTS = ("load", "forward", "backward", "update")
PACKAGES = ("tokenlearn", "torch", "numpy")


def main() -> None:
    """Warm up on a module that is thrown away, then train a fresh one."""
    folder, learning_rate, steps = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    settings = json.loads((folder / "settings.json").read_text())
    import torch

    torch.set_num_threads(settings["threads"])
    dataset = _dataset(folder)
    _train(_module(folder, settings["pad_id"]), dataset, settings, learning_rate, WARM_UP_STEPS)
    module = _module(folder, settings["pad_id"])
    seconds, losses = _train(module, dataset, settings, learning_rate, steps)

    module.eval()
    with torch.no_grad():  # as train_supervised ends: the output layer is dropped
        vectors = module.sub_forward(torch.arange(len(module.embeddings.weight))[:, None])
        np.save(folder / "trained.npy", vectors.numpy())
        np.save(folder / "trained_with_output_layer.npy", module.out_layer(vectors).numpy())
    report = {
        "steps": len(losses),
        "seconds": seconds,
        "last_losses": round(float(np.mean(losses[-10:])), 4),
        "versions": {package: version(package) for package in PACKAGES},
    }
    print(json.dumps(report))


def _dataset(folder: Path) -> Any:
    """Its dataset, without its tokenization."""
    import torch
    from tokenlearn.pretrain import TextDataset  # type: ignore[import-not-found]

    ids, starts = np.load(folder / "ids.npy").tolist(), np.load(folder / "starts.npy").tolist()
    dataset = TextDataset.__new__(TextDataset)
    dataset.tokenized_texts = [ids[begin:end] for begin, end in pairwise(starts)]
    dataset.targets = torch.from_numpy(np.load(folder / "targets.npy"))
    return dataset


def _module(folder: Path, pad_id: int) -> Any:
    """Its module, on our table."""
    import torch
    from tokenlearn.pretrain import StaticModelFineTuner

    torch.manual_seed(0)  # of its output layer
    table = torch.from_numpy(np.load(folder / "table.npy"))
    # It divides each row by its norm, and our rows of [PAD] and [UNK] are zero: NaN, which its mask lets through
    # (0 * NaN). No text holds these two, so a tiny row in their place changes nothing.
    table[table.norm(dim=1) == 0] = 1e-6
    return StaticModelFineTuner(table, out_dim=table.shape[1], pad_id=pad_id)


def _train(
    module: Any, dataset: Any, settings: dict[str, Any], learning_rate: float, steps: int
) -> tuple[dict[str, float], list[float]]:
    """The seconds that each part of `steps` steps took, and the loss of each step."""
    import torch
    import torch.nn.functional as F

    # It shuffles; here the rows lie in the order in which ours are trained on, shuffled already.
    loader = iter(dataset.to_dataloader(shuffle=False, batch_size=settings["batch"]))
    parameters = [*module.embeddings.parameters(), module.w, *module.out_layer.parameters()]
    optimizer = torch.optim.AdamW(params=parameters, lr=learning_rate)
    module.train()
    clock, losses = _Clock(), []
    for _ in range(steps):
        x, y = next(loader)
        clock.lap("load")
        optimizer.zero_grad()
        y_hat, _ = module(x)
        cosines = F.normalize(y_hat, dim=1) @ F.normalize(y, dim=1).T
        loss = F.cross_entropy(cosines / settings["temperature"], torch.arange(len(y)))
        clock.lap("forward")
        loss.backward()  # type: ignore[no-untyped-call]
        clock.lap("backward")
        optimizer.step()
        losses.append(loss.item())
        clock.lap("update")
    return clock.seconds, losses


class _Clock:
    """Seconds by part, from one lap to the next."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.last = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part] += now - self.last
        self.last = now


if __name__ == "__main__":
    main()
