"""curves.png: drawn of any log, with its words inside the frame, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from edge_potion.trainer.curves import Curves

CAPTION = "contrastive loss, learning rate 0.01, 1,234,567 sentences, batches of 1,024, at most 100 epochs"
FRAME = 3  # pixels
LOGS = {
    "a single look": [{"step": 2, "validation_loss": 0.5}],
    "a short run": [{"step": 50, "loss": 0.004}, *({"step": 10 * at, "validation_loss": 0.012} for at in range(1, 8))],
    "equal losses": [{"step": step, "loss": 3e-7} for step in range(10, 2000, 10)],
    "nothing": [],
}


def curves_of(log: list[dict[str, float]], title: str, folder: Path) -> list[np.ndarray]:
    """The light and the dark picture: (height, width, 4) in 0..1."""
    folder.mkdir()
    curves = Curves(folder, after_step=0)
    for line in log:
        curves.add(**line)
    curves.draw(title, CAPTION)
    return [imread(folder / name) for name in ("curves.png", "curves-dark.png")]


@pytest.mark.parametrize("log", LOGS)
def test_curves_are_drawn_inside_their_frame_in_light_and_dark(log, tmp_path):
    light, dark = curves_of(LOGS[log], "born again of $x^$ " + "long-" * 12, tmp_path / "run")
    assert light[0, 0, :3].min() == 1 and dark[0, 0, :3].max() == 0
    for picture in (light, dark):
        edges = (picture[:FRAME], picture[-FRAME:], picture[:, :FRAME], picture[:, -FRAME:])
        assert all((edge == picture[0, 0]).all() for edge in edges)


def test_a_loss_of_one_line_is_seen(tmp_path):
    two, one = (curves_of(LOGS["a short run"][at:], "t", tmp_path / f"{at}")[0] for at in (0, 1))
    blue = [((picture[..., 2] > 0.6) & (picture[..., 0] < 0.2)).sum() for picture in (two, one)]
    assert blue[0] > 40 and blue[1] == 0  # pixels of the marker, and of its twin in the legend
