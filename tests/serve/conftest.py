"""What these tests share: an app with a model, a classifier and an index, and a client that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_potion import EdgeModel, TextClassifier
from edge_potion.search.index import Index
from edge_potion.serve.app import create_app
from edge_potion.serve.settings import Settings

LABELS = {
    "card": ["where is my bank card?", "my credit card is lost"],
    "weather": ["will it rain tomorrow?", "there is snow outside"],
}
LINES = ["the yeast of my bread is old", "the second street on the left", "bake the bread for forty minutes"]


@pytest.fixture(scope="session")
def edge_model() -> EdgeModel:
    return EdgeModel.from_pretrained()


@pytest.fixture(scope="session")
def classifier_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "router"
    TextClassifier.from_labels(LABELS, threshold=0.5).export(folder, quantize=("int8",))
    return folder


@pytest.fixture(scope="session")
def index_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "lines"
    Index.build(folder, LINES, where=[f"lines.txt:{number}" for number in range(1, 4)])
    return folder


@pytest.fixture(scope="session")
def client(classifier_folder, index_folder) -> Iterator[TestClient]:
    """Of an app with all that there is."""
    models = ("potion-256d-minilm", str(classifier_folder), "other=potion-256d-minilm")
    settings = Settings(models=models, indexes=(str(index_folder),), access_log=False)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client
