"""The studies run, and the generated pages and pictures of docs/ are the reports'. Nothing here measures time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties, findfont
from PIL import ImageFont

from edge_potion import InputError
from edge_potion.benchmarks.studies import pages, training
from edge_potion.benchmarks.studies.given_features import write_given_features
from edge_potion.benchmarks.studies.pages import generated, stale
from edge_potion.benchmarks.studies.training_page import training_page

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"
SVG = "{http://www.w3.org/2000/svg}"
BOLD = ("title", "heading", "name", "label", "told")
FONT = 100  # pixels that it is measured at
HEIGHTS = {"title": 15, "words": 11, "axis": 11, "tick": 11, "note": 11, "heading": 13.5}  # of letters; 12 for others
NAMES = {  # that the pictures of README must show, whole
    "quality": ["edge-potion int8", "all-MiniLM-L6-v2, the teacher", "Model2Vec", "Tokenlearn"],
    "speed": [
        "edge-potion, Node",
        "edge-potion, Python",
        "edge-potion, browser (WebAssembly)",
        "fastembed, the same table",
    ],
    "training": ["beside tokenlearn", "beside sentence-transformers, 32 a call"],
    "runtimes": ["onnxruntime-node", "@huggingface/transformers"],
    "classify": ["model2vec", "tf-idf", "fastText"],
}


def test_the_generated_pages_and_pictures_are_those_of_the_newest_reports():
    assert stale(DOCS, generated(CHECKOUT / "benchmarks" / "studies" / "results")) == []


def test_a_page_that_is_stale_is_named(tmp_path):
    contents = {"help.md": "new", "images/speed.svg": "<svg/>", "results/speed.md": "same\n"}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "speed.md").write_bytes(b"same\n")
    (tmp_path / "help.md").write_bytes(b"old")
    assert stale(tmp_path, contents) == ["help.md", "images/speed.svg"]


def test_check_exits_with_the_names_of_what_is_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pages", str(tmp_path), "--check"])
    monkeypatch.setattr(pages, "generated", lambda results: {"help.md": "new"})
    with pytest.raises(SystemExit, match=r"stale, write them anew without --check: help\.md"):
        pages.main()


def test_results_without_a_report_are_named_with_what_writes_it(tmp_path):
    with pytest.raises(InputError, match=r"holds no \*_quality.json; make bench-quality writes one"):
        generated(tmp_path)


@pytest.mark.parametrize("file", sorted((DOCS / "images").glob("*.svg")), ids=lambda file: file.stem)
def test_a_pictures_words_are_whole_and_inside_its_frame_and_over_no_others(file):
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [box for box in words_of(root, 0.0, 0.0, width) if box[0].strip()]
    for words, left, top, right, bottom in boxes:
        assert min(left, top) >= 0 and right <= width and bottom <= height, words
        assert "…" not in words
    for place, (words, left, top, right, bottom) in enumerate(boxes):
        for others, *other in boxes[:place]:
            apart = other[0] >= right or other[2] <= left or other[1] >= bottom or other[3] <= top
            assert apart, (words, others)
    told = {words for words, *_ in boxes}
    assert set(NAMES[file.stem.removesuffix("-dark")]) <= told
    assert "<script" not in file.read_text(encoding="utf-8") and "http" not in file.read_text().replace(SVG[1:-1], "")


def words_of(
    element: ElementTree.Element, x: float, y: float, width: float
) -> Iterator[tuple[str, float, float, float, float]]:
    """(words, left, top, right, bottom) of every text, in the pixels of the outermost frame."""
    for child in element:
        if child.tag == f"{SVG}svg":
            inner = pixels(child.get("width", "100%"), width)
            yield from words_of(child, x + pixels(child.get("x", "0"), width), y + float(child.get("y", "0")), inner)
        elif child.tag == f"{SVG}text":
            style = child.get("class")
            high = HEIGHTS.get(style, 12)
            words = "".join(child.text or "")
            wide = font_of(style in BOLD).getlength(words) * high / FONT
            at = x + pixels(child.get("x"), width)
            anchor = "end" if style == "told" else child.get("text-anchor", "start")
            left = at - wide * {"start": 0, "middle": 0.5, "end": 1}[anchor]
            base = y + float(child.get("y"))
            yield words, left, base - 0.8 * high, left + wide, base + 0.2 * high
        else:
            yield from words_of(child, x, y, width)


@cache
def font_of(bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: as wide as any that a reader may have."""
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    return ImageFont.truetype(findfont(font, fallback_to_default=False), FONT)


def pixels(length: str, width: float) -> float:
    return float(length[:-1]) * width / 100 if length.endswith("%") else float(length)


@pytest.mark.peers
@pytest.mark.slow
def test_the_training_benchmark_runs_with_tokenlearns_own_module(built, teacher_folder, shared, tmp_path):
    write_given_features(shared, tmp_path / "features", teacher_folder)
    command = [sys.executable, "-m", training.__name__, teacher_folder, shared / "sentences.txt.xz"]
    command += [tmp_path / "features", "--rows", "4096", "--texts", "100", "--rounds", "1"]
    command += ["--sts", shared / "eval" / "STSBenchmark" / "validation.jsonl.gz", "--json", tmp_path / "report.json"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["contrast"]["rows"] == 7 * 512 and report["contrast"]["peer_versions"]["tokenlearn"] == "0.2.1"
    assert set(report["contrast"]["rows_per_s"]) == {"edge-potion", "edge-potion, steps alone", "tokenlearn"}
    assert min(report["featurize"]["lowest_cosine"].values()) > 0.9999
    assert "Training a table: tokenlearn" in training_page(report, "report.json")["results/training.md"]


def test_the_demo_exports_embeds_and_searches(distilled_folder, tmp_path):
    """From a distilled model on; distilling one for real is what the fixture did."""
    shutil.copytree(distilled_folder, tmp_path / "model")
    command = [sys.executable, CHECKOUT / "examples" / "demo.py", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"$ edge-potion export {tmp_path / 'model'} --quantize int8" in said
    first_hit = said.split("'my bread did not rise'\n")[1].splitlines()[0]
    assert "dough" in first_hit
    assert "onnx/bag_quantized.onnx" in said and "provider cpu, int8" in said and "texts/s" in said
    assert "found" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
