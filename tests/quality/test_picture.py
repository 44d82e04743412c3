"""report.png: whole names inside its frame, and as much of each path as tells models apart."""

from __future__ import annotations

import io
from typing import Any

import pytest
from matplotlib.image import imread

from edge_potion.benchmarks.quality.picture import distinct_names, drawn

FRAME = 3  # pixels
NAMES = {
    "one": ["model"],
    "ten": [
        *("rung/model", "other/model", "a/model-256d", "st:/x/sentence-transformers/all-MiniLM-L6-v2"),
        *("minishlab/potion-base-8M", "potion-256d-minilm-onnx@int8", "potion-256d-minilm-onnx@int8@128"),
        *("n" * 23, "a-name-of-sixty-letters-that-goes-on-and-on-and-on-and-on-ok", "W" * 60),
    ],
}


def model_of(name: str, score: float | None = 72.83, size_mb: float | None = 7.59) -> dict[str, Any]:
    averages = {} if score is None else {"report": {"CatAVG": score}}
    return {"name": name, "averages": averages, "incomplete": [], "size_mb": size_mb, "texts_per_s": 22_553}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("apart", [0.0, 1.0], ids=["equal", "apart"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_picture_of_any_names_stays_inside_its_frame(names, apart, dark):
    models = [model_of(name, 60 + apart * at, 7.59 + 9 * apart * at) for at, name in enumerate(NAMES[names])]
    models.append(model_of("lost", None, None))
    picture = imread(io.BytesIO(drawn({"models": models, "complete": True}, dark)))
    edges = (picture[:FRAME], picture[-FRAME:], picture[:, :FRAME], picture[:, -FRAME:])
    assert all((edge == picture[0, 0]).all() for edge in edges) and picture[0, 0, 0] == (not dark)


def test_names_are_as_long_as_tells_them_apart_and_never_just_model():
    assert distinct_names(["rung/model", "other/model", "x/potion"]) == ["rung/model", "other/model", "potion"]
    assert distinct_names(["a/run/model", "b/run/model"]) == ["a/run/model", "b/run/model"]
    assert distinct_names(["/runs/a@int8", "/runs/a@int8@128"]) == ["a@int8", "a@int8@128"]
    assert distinct_names(["out/bundle@int8", "model"]) == ["out/bundle@int8", "model"]
    assert distinct_names(["same", "same"]) == ["same", "same"]
    assert distinct_names(["/model", ""]) == ["/model", ""]
