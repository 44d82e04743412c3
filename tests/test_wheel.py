"""What a wheel holds, and that it works where nothing of the checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .models import CHECKOUT

ROOMS = ("edge_potion", "trainer", "exporters", "benchmarks/quality", "benchmarks/speed")
STRANGERS = {
    "studies",
    "results",
    "tests",
    "docs",
    "examples",
    "node_modules",
    "ruff.toml",
    "__pycache__",
    ".ruff_cache",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, as the backend leaves files beside what it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns(".*", "build", "__pycache__", "node_modules")
    copy = shutil.copytree(CHECKOUT, folder / "checkout", ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*command, copy], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def held(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_holds_no_more_than_it_runs_with(held):
    assert sorted(name for name in held if STRANGERS & set(Path(name).parts)) == []
    assert {Path(name).parts[0] for name in held if ".dist-info/" not in name} == {"edge_potion"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_wheel_holds_every_file_of_a_room(held, room):
    """By their place in the repository: models, recipes, golden texts, samples, runners, templates and styles too."""
    tracked = subprocess.run(["git", "ls-files", room], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    wanted = {name for name in tracked.splitlines() if Path(name).name != "ruff.toml" and (CHECKOUT / name).exists()}
    installed = {name if name.startswith("edge_potion/") else f"edge_potion/{name}" for name in wanted}
    assert len(installed) > 5 and sorted(installed - held) == []


def test_a_wheel_holds_what_is_read_at_run_time_and_its_licence(held):
    for name in (
        "edge_potion/py.typed",
        "edge_potion/models/potion-256d-minilm/onnx/text_quantized.onnx",
        "edge_potion/samples/sentences.txt",
        "edge_potion/trainer/recipes/tiny.toml",
        "edge_potion/exporters/golden_texts.json",
        "edge_potion/benchmarks/speed/runners/node/web.mjs",
    ):
        assert name in held
    assert [name for name in held if name.endswith(".dist-info/licenses/LICENSE")]
    assert [name for name in held if name.endswith(".dist-info/entry_points.txt")]


def test_a_wheel_embeds_where_nothing_of_the_checkout_is(wheel, tmp_path):
    """Unpacked, as pip does, before what is installed here."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = """
import sys
import edge_potion
assert edge_potion.__file__.startswith(sys.argv[1]), edge_potion.__file__
from edge_potion import EdgeModel
print(edge_potion.__version__, EdgeModel.from_pretrained().encode(["It is raining."]).shape)
import edge_potion.trainer, edge_potion.exporters, edge_potion.benchmarks.quality, edge_potion.benchmarks.speed
assert edge_potion.trainer.__file__.startswith(sys.argv[1])
"""
    command = [sys.executable, "-S", "-c", script, str(tmp_path / "site")]
    # -S: the editable install of the checkout has an import hook of its own; its neighbours are found by path.
    neighbours = [entry for entry in sys.path if entry.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *neighbours])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in wheel.name and "(1, 256)" in done.stdout
