"""The engine's tests in C++, with the built-in model: as it ships, and under sanitizers."""

from __future__ import annotations

import os

import pytest

from .built import MODEL, engine_built, run


def test_the_tests_in_cpp_pass():
    assert "0 failures" in run(engine_built("plain") / "test_engine", MODEL)


def test_a_program_in_c_takes_what_cmake_installs(tmp_path):
    installed = engine_built("plain") / "installed"
    (tmp_path / "program.c").write_text("#include <edge_potion.h>\nint main(void) { return !ep_version()[0]; }\n")
    (library,) = installed.glob("lib*/**/libedge_potion.*")
    run("cc", tmp_path / "program.c", f"-I{installed / 'include'}", library, "-o", tmp_path / "program")
    run(tmp_path / "program", env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})


def test_they_pass_where_every_access_and_every_operation_is_watched():
    """By ASan, with its search for leaks, and UBSan."""
    folder = engine_built("watched", "-DEP_SANITIZE=address,undefined")
    assert "0 failures" in run(folder / "test_engine", MODEL)


@pytest.mark.slow
def test_they_pass_where_threads_are_watched():
    """By TSan, which knows no address space that is laid out at random."""
    folder = engine_built("threads", "-DEP_SANITIZE=thread")
    assert "0 failures" in run("setarch", "-R", folder / "test_engine", MODEL)
