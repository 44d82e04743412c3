"""Featurize on a real Ray cluster of two nodes: the files of the local way, whatever is lost meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
import torch
from transformers import BertModel

from edge_potion import AccessError, InputError, ModelFormatError
from edge_potion.trainer import featurize_on_ray
from edge_potion.trainer.featurize import featurize
from edge_potion.trainer.featurize_on_ray import OnRay, encoded_on_ray
from edge_potion.trainer.pipeline import featurize_corpus
from edge_potion.trainer.recipe import FeaturizeRecipe
from edge_potion.trainer.teacher import load_teacher

from ..models import DATA, bits

pytestmark = pytest.mark.peers  # half a minute for Ray's processes to start

RECIPE = FeaturizeRecipe("model", shard_rows=20, prompt="a note: ")


@pytest.fixture(scope="module")
def teacher(small_teacher):
    return load_teacher(small_teacher, device="cpu")


@pytest.fixture(scope="module")
def local(teacher, tmp_path_factory) -> dict[str, bytes]:
    """The files of the local way."""
    out = tmp_path_factory.mktemp("local")
    featurize(teacher, DATA, out, RECIPE)
    return bits(out)


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "features").mkdir()
    return tmp_path / "features"


def on_ray(teacher, out, disturb=None, **options) -> dict[str, bytes]:
    """Featurize on Ray; `disturb` is called once, when three shards are whole."""

    def encode_all(*arguments):
        for number, part in enumerate(encoded_on_ray(*arguments, on_ray=OnRay(**options))):
            if number == 3 and disturb:
                disturb()
            yield part

    featurize(teacher, DATA, out, RECIPE, encode_all=encode_all)
    return bits(out)


def test_the_files_are_those_of_the_local_way(ray_cluster, teacher, local, out):
    assert on_ray(teacher, out, workers=3) == local
    assert {folder.name for folder in ray_cluster.folder.glob("*/parcel-*")}  # it went by its content
    ray_cluster.wait_for("Worker", 0)  # their places are free again


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_middle_changes_nothing(ray_cluster, teacher, local, out, caplog):
    assert on_ray(teacher, out, lambda: ray_cluster.kill_an_actor("Worker"), workers=2) == local
    assert "a worker was lost, and another does its work" in caplog.text


@pytest.mark.slow
def test_a_node_that_is_lost_in_the_middle_changes_nothing(ray_cluster, teacher, local, out, caplog):
    """Its workers find no room elsewhere: the others do what they had."""
    ray_cluster.second_node()
    ray_cluster.wait_for("Worker", 0)  # those of the tests before

    def lose_it_once_all_have_begun() -> None:
        ray_cluster.wait_for("Worker", 4)
        ray_cluster.lose_second_node()

    assert on_ray(teacher, out, lose_it_once_all_have_begun, workers=4) == local
    assert "a worker was lost, and another does its work" in caplog.text


@pytest.mark.slow
def test_only_missing_shards_are_handed_out(ray_cluster, teacher, local, out):
    on_ray(teacher, out)
    (out / "train-00002.parquet").unlink()
    (out / "shard-00004.json").write_text("{")
    numbers = []

    def noted(*arguments):
        for part in encoded_on_ray(*arguments, on_ray=OnRay()):
            numbers.append(part.slice.number)
            yield part

    featurize(teacher, DATA, out, RECIPE, encode_all=noted)
    assert sorted(numbers) == [2, 4] and bits(out) == local
    featurize(teacher, DATA, out, RECIPE, encode_all=noted)
    assert len(numbers) == 2


@pytest.mark.slow
def test_what_a_worker_refuses_is_refused_here_as_the_same(ray_cluster, small_teacher, out, tmp_path):
    nan = Path(shutil.copytree(small_teacher, tmp_path / "nan-bert"))
    model = BertModel.from_pretrained(nan)
    with torch.no_grad():
        model.get_input_embeddings().weight[:] = float("nan")
    model.save_pretrained(nan)
    with pytest.raises(ModelFormatError, match="teacher nan-bert gives NaN or inf for each of 20 sentences"):
        on_ray(load_teacher(nan, device="cpu"), out, workers=1)
    ray_cluster.wait_for("Worker", 0)


@pytest.mark.slow
def test_workers_that_are_lost_one_after_the_other_end_it_in_one_line(ray_cluster, teacher, out, monkeypatch):
    monkeypatch.setattr(featurize_on_ray.Worker, "load", lambda self: os.kill(os.getpid(), signal.SIGKILL))
    ray.cloudpickle.register_pickle_by_value(featurize_on_ray)
    try:
        with pytest.raises(AccessError, match="4 workers of the Ray cluster were lost before they could begin"):
            on_ray(teacher, out, workers=1)
    finally:
        ray.cloudpickle.unregister_pickle_by_value(featurize_on_ray)


def test_a_cluster_without_room_for_a_worker_is_refused(ray_cluster, teacher, out):
    with pytest.raises(InputError, match="no room for a worker with 1 CPUs and 1 GPUs"):
        on_ray(teacher, out, gpus=1)


def test_a_damaged_parcel_is_a_format_error(ray_cluster, teacher, out):
    with pytest.raises(ModelFormatError, match="cannot be read"):
        featurize_on_ray.packed(out, [out / "missing"])


def command(out: Path, teacher: Path, *words: str) -> list[str]:
    given = ["--recipe", "tiny", "--teacher", str(teacher), "--corpus", str(DATA), "--out", str(out)]
    return [sys.executable, "-m", "edge_potion", "featurize", *given, *words]


@pytest.mark.slow
def test_the_command_goes_on_where_ctrl_c_stopped_it(ray_cluster, small_teacher, tmp_path):
    """By itself with a cluster of its own process; stdout holds the folder alone."""
    featurize_corpus("tiny", tmp_path / "local", teacher=small_teacher, corpus=[DATA], device="cpu")
    words = ["--engine", "ray", "--address", ray_cluster.address, "--ray-workers", "2"]
    asked = command(tmp_path / "ray", small_teacher, *words)
    first = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part = tmp_path / "ray" / ".2-featurize.part"
    while first.poll() is None and len(list(part.glob("shard-*.json"))) < 2:
        time.sleep(0.01)
    first.send_signal(signal.SIGINT)
    stdout, stderr = first.communicate(timeout=60)
    assert (first.returncode, stdout) == (130, ""), stderr
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.stdout == f"{tmp_path / 'ray' / '2-featurize'}\n", done.stderr
    assert bits(tmp_path / "ray") == bits(tmp_path / "local")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--address", "auto"], "--address, --ray-workers, --cpus-a-worker and --gpus-a-worker are for --engine ray"),
        (["--engine", "ray", "--device", "cpu"], "a device is of this machine"),
        (["--engine", "ray", "--address", "ray://127.0.0.1:1"], "is for Ray's client; run this on a node"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(small_teacher, tmp_path, words, message):
    done = subprocess.run(command(tmp_path / "run", small_teacher, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("error: ") and message in done.stderr
