"""The adapters for other libraries, each run for real in an environment that holds what their headers name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_potion.benchmarks.speed import environments
from edge_potion.errors import InputError

CHECKOUT = Path(__file__).parents[2]
BUILT = CHECKOUT / ".venvs" / "cache"  # where `make test` builds the environments
ADAPTERS = CHECKOUT / "examples" / "adapters"
SAID = {
    "for_bertopic": "animals: [0] money: [1]",
    "for_chroma": "Bread rises slowly in the cold.",
    "for_keybert": "0.67 bread\n0.56 yeast\n0.56 sugar",
    "for_llama_index": "Bread rises slowly in the cold.",
    "for_scikit_learn": "accuracy: 1.0\n['animals' 'money']",
}


def python_of(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """scikit-learn is among what the tests need; the others share an environment."""
    if adapter.stem == "for_scikit_learn":
        return sys.executable
    monkeypatch.setenv("EDGE_POTION_CACHE", str(BUILT))
    try:
        return str(environments.python_of(str(ADAPTERS)))
    except (environments.Missing, InputError) as reason:
        pytest.skip(str(reason))


def test_every_adapter_is_run():
    assert {file.stem for file in ADAPTERS.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_adapter_does_what_its_library_asks_of_it(name, monkeypatch):
    adapter = ADAPTERS / f"{name}.py"
    command = [python_of(adapter, monkeypatch), "-P", adapter]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and done.stdout.strip() == SAID[name], done.stderr
