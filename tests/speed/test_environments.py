"""The environments of runners and scripts: what is in one is said in the header of its script, and there alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_potion.benchmarks.speed import environments
from edge_potion.benchmarks.speed.peers import PEERS, peers_environments

from ..peers import CHECKOUT, DISTILL, OLDEST

SCRIPT = '''# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "first==1",
{more}# ]
# ///
"""What it does."""
'''
TOKENLEARN = CHECKOUT / "benchmarks" / "studies" / "tokenlearn_train.py"


@pytest.fixture
def script(tmp_path) -> Path:
    file = tmp_path / "some_peer.py"
    file.write_text(SCRIPT.format(more=""))
    return file


def test_another_dependency_is_another_environment_and_another_line_of_code_is_not(script):
    before = environments.environment_folder(str(script))
    assert before.name.startswith("some_peer-")
    script.write_text(script.read_text() + "print('hello')\n")
    assert environments.environment_folder(str(script)) == before
    script.write_text(SCRIPT.format(more='#   "second==2",\n'))
    assert environments.environment_folder(str(script)) != before


def test_a_script_without_a_header_is_refused_and_the_names_are_told(tmp_path):
    (tmp_path / "bare.py").write_text("print('hello')\n")
    for name in (str(tmp_path / "bare.py"), "word2vec", "edge-potion"):
        command = [sys.executable, "-m", environments.__name__, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"error: there is no environment {name!r}")
        assert "fastembed" in done.stderr and done.stderr.count("\n") == 1


def test_a_script_whose_environment_is_not_built_says_how_to_build_it(script):
    with pytest.raises(environments.Missing, match=f"some_peer is not installed: .*environments {script}"):
        environments.script_command(str(script))


@pytest.mark.parametrize(
    "name", [*peers_environments(tuple(PEERS)), "openvino", "langchain", DISTILL, OLDEST, TOKENLEARN]
)
def test_every_script_has_a_header_and_torch_is_the_one_that_the_tests_run_with(name):
    """A plain torch pulls gigabytes of CUDA packages on Linux, and of one version pip has the wheel already."""
    packages = environments.dependencies(str(name))
    assert packages
    torch = [package for package in packages if package.startswith("torch")]
    assert set(torch) <= set((CHECKOUT / "constraints.txt").read_text().splitlines())
