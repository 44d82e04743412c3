"""The benchmarks run, and the README's numbers are the reports'. Nothing here measures time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_potion import InputError
from edge_potion.benchmarks.speed.compare import read_report
from edge_potion.benchmarks.speed.report.markdown import as_markdown
from edge_potion.benchmarks.studies import training
from edge_potion.benchmarks.studies.given_features import write_given_features
from edge_potion.benchmarks.studies.pages import training_numbers, with_numbers

CHECKOUT = Path(__file__).parents[2]


def test_the_readmes_numbers_are_those_of_the_newest_report():
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert with_numbers(readme, CHECKOUT / "benchmarks" / "studies" / "results") == readme


def test_the_whole_benchmark_is_that_of_the_newest_report():
    newest = sorted((CHECKOUT / "benchmarks" / "studies" / "results").glob("*_benchmark.json"))[-1]
    shown = (CHECKOUT / "docs" / "results" / "speed.md").read_text(encoding="utf-8")
    assert shown == as_markdown(read_report(newest))


def test_a_readme_without_a_place_for_numbers_is_named(tmp_path):
    with pytest.raises(InputError, match="needs one <!-- numbers -->"):
        with_numbers("# no place", tmp_path)
    with pytest.raises(InputError, match=r"holds no \*_quality.json"):
        with_numbers("<!-- numbers -->\n<!-- end of numbers -->\n", tmp_path)


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
    assert "contrast: tokenlearn" in training_numbers(report, "report.json")


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
