"""The page of examples/web that classifies, in real headless Chromium, and the demo's classifier that it shows."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_potion import StaticModel, TextClassifier, export
from edge_potion.head import Head, read_head

from ..models import CHECKOUT
from .web_page import PAGE, SERVE, serve, visited

BUILT_IN = CHECKOUT / "edge_potion" / "models" / "potion-256d-minilm" / "onnx" / "text_quantized.onnx"
MOST_BYTES = 1_000_000  # that the head may add to the model's file
SHIPPED = PAGE / "demo-classifier"
ENGINES = ["edge-potion", "onnxruntime-web"]
# None of them is a row of the demo's; typed by hand, letter by letter.
SENTENCES = [
    ("is it going to be sunny on Sunday?", "weather"),
    ("please wake me before sunrise", "alarm"),
    ("somebody stole my debit card", "card_lost"),
    ("when will my parcel get here?", "delivery"),
    ("I want to give this back and have my money", "refund"),
    ("what is the German word for butter?", "translate"),
    ("play something by Mozart", "music"),
    ("how do I drive to the harbour?", "navigation"),
    ("switch the lamp in the bathroom off", "lights"),
    ("how do I bake an apple cake?", "recipe"),
    ("tell us something to laugh about", "joke"),
    ("good morning everyone", "greeting"),
    ("what is your favourite film?", "smalltalk"),
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (PAGE / "demo-intents.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_demos_rows_are_some_of_each_label_and_no_text_twice(rows):
    counts = Counter(row["label"] for row in rows)
    assert len(counts) == 13
    assert min(counts.values()) >= 25
    assert max(counts.values()) <= 40
    assert len({row["text"].lower() for row in rows}) == len(rows)


@pytest.mark.slow
def test_the_script_makes_the_head_that_ships_again(rows, tmp_path):
    pytest.importorskip("scipy")
    command = [sys.executable, PAGE / "demo_classifier.py", "--out", tmp_path / "again"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "13 labels" in done.stdout
    again, shipped = read_head(tmp_path / "again"), read_head(SHIPPED)
    assert again is not None and shipped is not None
    assert again.labels == shipped.labels
    np.testing.assert_array_equal(again.grams, shipped.grams)
    # Other processors add in other orders, and the optimizer ends after so many steps: weights reach from -2 to 3.
    for name in ("dense", "bias", "rows", "temperature", "threshold"):
        np.testing.assert_allclose(getattr(again, name), getattr(shipped, name), rtol=0, atol=0.01, err_msg=name)
    texts = [row["text"] for row in rows]
    first, second = (predicted(folder, texts, tmp_path) for folder in (tmp_path / "again", SHIPPED))
    assert first == second


def predicted(head: Path, texts: list[str], room: Path) -> list[str]:
    from demo_classifier import put_together

    classifier = TextClassifier.from_pretrained(put_together(head, room / f"with-{head.name}"))
    labels: list[str] = classifier.predict(texts).tolist()
    return labels


def test_the_head_adds_less_than_a_megabyte_to_the_models_file(demo):
    more = (demo / "onnx" / "text_quantized.onnx").stat().st_size - BUILT_IN.stat().st_size
    assert 0 < more < MOST_BYTES
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < MOST_BYTES
    assert sorted(file.name for file in SHIPPED.iterdir()) == ["config.json", "head.safetensors"]


def test_serve_makes_the_demo_once_and_goes_without_where_it_cannot(package, demo, tmp_path):
    made = serve("--package", package, "--copy", tmp_path / "whole")
    assert (made.returncode, made.stderr) == (0, "")
    file = Path("classifier") / "text_quantized.onnx"
    assert (tmp_path / "whole" / file).read_bytes() == (demo / "onnx" / "text_quantized.onnx").read_bytes()
    command = [sys.executable, "-S", SERVE, "--package", package, "--copy", tmp_path / "without"]  # no site-packages
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("without the demo's classifier, which pip install 'edge-potion[export]' makes: ")
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "without" / "classify.html").is_file()
    assert not (tmp_path / "without" / file).exists()


@pytest.fixture(scope="module")
def texts(demo, rows) -> list[str]:
    """The golden texts, but for those that NUL would part, and the demo's own."""
    golden = json.loads((demo / "golden.json").read_text(encoding="utf-8"))["texts"]
    return [text for text in golden if "\0" not in text] + [row["text"] for row in rows]


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> dict[str, Path]:
    """Files of classifiers as people drop them: of many labels, one of them markup, and of several labels a text."""
    folder = tmp_path_factory.mktemp("own")
    names = ["rain", "<b>bread</b>", *(f"label {number}" for number in range(38))]
    TextClassifier.from_labels(names).export(folder / "many", graphs="text")
    model = StaticModel.from_pretrained()
    words = [model.tokenizer.token_to_id(word) for word in ("rain", "bread", "moon")]
    grams = np.array([[word, -1] for word in words], np.int32)
    dense, bias = np.zeros((model.dim, 3), np.float32), np.full(3, -2, np.float32)
    head = Head(("wet", "food", "night"), dense, bias, grams, 8 * np.eye(3, dtype=np.float32), True, 1.0, 0.5)
    export(replace(model, head=head), folder / "several", graphs="text")
    return {name: folder / name / "onnx" / "text_quantized.onnx" for name in ("many", "several")}


@pytest.fixture(scope="module")
def seen(package, ort, demo, texts, own, pictures, tmp_path_factory) -> dict[str, Any]:
    """What each scene of web_classify.mjs saw, in one Chromium."""
    folder = tmp_path_factory.mktemp("web-classify")
    for name, content in {"texts": texts, "sentences": SENTENCES}.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    names = {"python": sys.executable, "serve": SERVE, "package": package, "ort": ort, "classifier": demo}
    files = {"texts": folder / "texts.json", "sentences": folder / "sentences.json", "plain": BUILT_IN}
    return visited("web_classify.mjs", {**names, **files, **own, "pictures": pictures}, folder)


@pytest.fixture
def scene(seen):
    """What a scene saw; a page that is whole asks no other host, and has nothing to tell its console."""

    def look(name: str) -> dict[str, Any]:
        assert "failed" not in seen[name], seen[name]["failed"]
        assert seen[name]["faults"] == []
        return seen[name]

    return look


@pytest.mark.browser
@pytest.mark.parametrize("engine", ENGINES)
def test_labels_and_probabilities_are_those_of_python_on_golden_texts_and_the_demos(scene, demo, texts, engine):
    found = scene("agreement")[engine]
    classifier = TextClassifier.from_pretrained(demo)
    assert [each["label"] for each in found] == [each.label for each in classifier.decide(texts)]
    shares = np.array([each["probabilities"] for each in found])
    np.testing.assert_allclose(shares, classifier.predict_proba(texts), rtol=0, atol=1e-6)
    assert len(texts) > 400
    assert None in [each["label"] for each in found]


@pytest.mark.browser
def test_the_bars_move_while_a_sentence_is_typed_and_the_right_one_is_highest(scene, demo):
    found = scene("typing")
    labels = list(json.loads((SHIPPED / "config.json").read_text(encoding="utf-8"))["label2id"])
    assert found["opened"].split("\n") == ["Everyday wishes", "13 labels"]
    assert found["empty"] == {"labels": labels, "shares": [0] * 13, "given": []}
    rain = found["rain"]
    assert rain["labels"] == labels
    assert labels[int(np.argmax(rain["shares"]))] == "weather"
    assert (rain["given"], rain["state"]) == (["weather"], "weather")
    assert sum(rain["shares"]) == pytest.approx(1, abs=1e-5)
    assert found["time"].startswith("in ") and found["time"].endswith(" ms")
    size = (demo / "onnx" / "text_quantized.onnx").stat().st_size
    assert f"Classifier {size / 1e6:.1f} MB" in found["facts"]


@pytest.mark.browser
def test_every_sentence_that_is_typed_has_its_own_bar_highest(scene):
    assert scene("sentences")["found"] == [label for _, label in SENTENCES]


@pytest.mark.browser
def test_below_the_threshold_the_answer_is_none_of_these(scene):
    found = scene("typing")
    assert (found["france"]["given"], found["france"]["state"]) == ([], "None of these")
    threshold = read_head(SHIPPED).threshold
    assert 0 < max(found["france"]["shares"]) < threshold
    assert found["least"] == f"The mark is at {100 * threshold:.0f}%: below it, a label is not given."
    assert found["ideas"] == ["weather", "refund", "card_lost", "None of these"]


@pytest.mark.browser
def test_the_other_engine_shows_the_same_bars(scene):
    found = scene("typing")
    assert found["other"]["given"] == found["rain"]["given"]
    np.testing.assert_allclose(found["other"]["shares"], found["rain"]["shares"], atol=1e-6)


@pytest.mark.browser
def test_an_old_answer_never_takes_the_place_of_a_newer_one(scene):
    found = scene("newest")
    assert found["typed"]["given"] == ["weather"]
    assert found["emptied"]["shares"] == [0] * 13


@pytest.mark.browser
def test_a_classifier_of_ones_own_is_shown_and_what_is_none_leaves_the_one_before(scene):
    found = scene("own")
    assert found["junk"].startswith("notes.onnx: ")
    assert found["plain"].startswith(
        "text_quantized.onnx gives no labels: take onnx/text_quantized.onnx of a classifier"
    )
    assert (found["kept"]["name"], found["kept"]["given"]) == ("Everyday wishes", ["weather"])
    assert found["kept"]["state"] == "weather"
    assert found["cleared"] is True
    many = found["many"]
    assert (many["name"], many["given"], many["labels"][0]) == ("text_quantized.onnx", ["rain"], "rain")
    assert len(many["labels"]) == 24  # of 40: the likeliest
    assert many["shares"] == sorted(many["shares"], reverse=True)
    assert (found["ideas"], found["least"]) == (True, True)
    assert found["elements"] == 0  # a label's markup is text


@pytest.mark.browser
def test_a_text_may_have_several_labels_by_both_engines(scene):
    found = scene("own")
    assert found["several"]["labels"] == ["wet", "food", "night"]
    assert found["several"]["given"] == ["wet", "food"]
    assert found["other"]["given"] == ["wet", "food"]
    np.testing.assert_allclose(found["other"]["shares"], found["several"]["shares"], atol=1e-6)
    assert found["refused"].startswith("notes.onnx is damaged or not an ONNX file")


@pytest.mark.browser
def test_everything_can_be_done_by_keyboard_and_is_named_to_a_screen_reader(scene):
    found = scene("keyboard")
    assert found["path"] == ["A", "file", "text", "BUTTON", "text", "text"]
    assert found["typed"] == "turn it on / off"
    assert found["outline"] == "solid"
    assert found["slash"] == "will I get wet on Sunday?"
    assert found["escaped"] == ""
    assert (found["roles"], found["named"], found["box"]) == ("status", 1, 1)


@pytest.mark.browser
def test_320_pixels_are_wide_enough(scene):
    assert max(scene("narrow")["widths"]) <= 320


@pytest.mark.browser
def test_in_the_dark_letters_are_bright_on_dark_and_nothing_moves_for_who_wants_that(scene):
    letters, ground = scene("dark")["colors"]
    assert min(letters) > 180 and max(ground) < 70
    assert scene("dark")["moves"] == "0s"


@pytest.mark.browser
def test_both_pages_work_when_the_server_is_gone(scene):
    found = scene("offline")
    assert found["state"] == "weather"
    assert found["titles"] == ["Search a text by meaning", "Classify a text as you type"]


@pytest.mark.browser
def test_without_the_demo_the_page_says_so_and_takes_a_file(seen):
    assert "failed" not in seen["missing"], seen["missing"]["failed"]
    found = seen["missing"]
    assert found["error"].startswith("The model is missing (404): put classifier/text_quantized.onnx beside this page")
    assert found["state"] == "There is no classifier: drop the file of one."
    assert found["after"] == "weather"


@pytest.mark.browser
def test_pictures_are_there_in_light_and_dark(seen, pictures):
    for name in ("empty", "light", "dark", "narrow", "many", "missing"):
        assert (pictures / f"classify-{name}.png").stat().st_size > 5000
