"""What the tests of examples/web are given: the packages that it serves, the demo's classifier, room for pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edge_potion import export

from ..js.packed import install_package
from ..peers import built_javascript
from .web_page import PAGE

sys.path.append(str(PAGE))  # for its own scripts


@pytest.fixture(scope="session")
def ort() -> Path:
    """onnxruntime-web's files."""
    return built_javascript() / "node_modules" / "onnxruntime-web" / "dist"


@pytest.fixture(scope="session")
def package(tmp_path_factory) -> Path:
    """The npm package, installed."""
    return install_package(tmp_path_factory.mktemp("package") / "installed")


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The bundle of the demo's classifier."""
    from demo_classifier import SHIPPED, put_together

    folder = tmp_path_factory.mktemp("demo")
    return export(put_together(SHIPPED, folder / "classifier"), folder / "bundle", graphs="text").folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Where scenes put what they look like."""
    folder = Path(os.environ.get("EDGE_POTION_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
