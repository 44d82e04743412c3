"""The engine's tests in C++, with the built-in model: as it ships, and under sanitizers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_potion import StaticModel
from edge_potion.grams import ALONE
from edge_potion.head import Head

from ..models import phrases_of
from .both import Both
from .built import MODEL, engine_built, run
from .c_interface import library


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Path:
    """The built-in model with a head and phrases for words that the tests' texts hold."""
    if library() is None:
        pytest.skip("this install has no native engine: no C++ compiler was found when it was made")
    model, source = StaticModel.from_pretrained(), np.random.default_rng(0)
    words = [model.tokenizer.token_to_id(word) for word in ("sentence", "number", "the", "weather", "cat", ".")]
    grams = np.array([*([word, ALONE] for word in words), words[:2], words[2:4], words[4:]], np.int32)
    weights = source.normal(size=(model.dim + 1 + len(grams), 77)).astype(np.float32)
    names = tuple(f"label {number}" for number in range(77))
    head = Head(names, weights[: model.dim], weights[model.dim], grams, weights[model.dim + 1 :])
    model = phrases_of(model, ["a sentence number about the weather in the cat."], 6)
    file = tmp_path_factory.mktemp("classifier") / "text.onnx"
    file.write_bytes(Both.of(replace(model, head=head)).file)
    return file


def test_the_tests_in_cpp_pass(classifier):
    for model in (MODEL, classifier):
        assert "0 failures" in run(engine_built("plain") / "test_engine", model)


def test_a_program_in_c_takes_what_cmake_installs(tmp_path):
    installed = engine_built("plain") / "installed"
    (tmp_path / "program.c").write_text("#include <edge_potion.h>\nint main(void) { return !ep_version()[0]; }\n")
    (library,) = installed.glob("lib*/**/libedge_potion.*")
    run("cc", tmp_path / "program.c", f"-I{installed / 'include'}", library, "-o", tmp_path / "program")
    run(tmp_path / "program", env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})


def test_they_pass_where_every_access_and_every_operation_is_watched(classifier):
    """By ASan, with its search for leaks, and UBSan."""
    folder = engine_built("watched", "-DEP_SANITIZE=address,undefined")
    for model in (MODEL, classifier):
        assert "0 failures" in run(folder / "test_engine", model)


@pytest.mark.slow
def test_they_pass_where_threads_are_watched(classifier):
    """By TSan, which knows no address space that is laid out at random."""
    folder = engine_built("threads", "-DEP_SANITIZE=thread")
    for model in (MODEL, classifier):
        assert "0 failures" in run("setarch", "-R", folder / "test_engine", model)
