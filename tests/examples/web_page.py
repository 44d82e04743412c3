"""What the tests of examples/web share: where it is, its server, visits in headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ..js.packed import CHROMIUM
from ..models import CHECKOUT
from ..peers import built_javascript

PAGE = CHECKOUT / "examples" / "web"
SERVE = PAGE / "serve.py"
HERE = Path(__file__).parent


def serve(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SERVE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def visited(script: str, job: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What each scene of a script saw, in one Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make browser`")
    (folder / "job.json").write_text(json.dumps(job, default=str), encoding="utf-8")
    for name in (script, "web_visits.mjs"):
        shutil.copy(HERE / name, built_javascript())  # beside what they import
    command = ["node", built_javascript() / script, folder / "job.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
