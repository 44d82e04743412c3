"""`edge-potion import`, as a user types it."""

from __future__ import annotations

import gzip

import numpy as np

from .test_cli import edge_potion, error_of


def test_word_vectors_become_a_folder_that_is_encoded_with(tmp_path):
    file = tmp_path / "tiny.vec.gz"
    file.write_bytes(gzip.compress(b"4 2\nthe 1 0\ncat 0 1\nn't 5 5\nthe 7 7\n"))
    done = edge_potion("import", file, "--licence", "pddl", "--keep-length", "--out", tmp_path / "model")
    assert done.stdout == f"{tmp_path / 'model'}: 2 words x 2 dimensions, lower-cased\n"
    assert "more than once (1: 'the'), the first counts" in done.stderr
    assert 'are left out (1: "n\'t")' in done.stderr and f"next: edge-potion export {tmp_path / 'model'}" in done.stderr
    edge_potion("encode", "-", "--model", tmp_path / "model", "--out", tmp_path / "v.npy", stdin="The cat\nn't\n")
    assert np.allclose(np.load(tmp_path / "v.npy"), [[0.5, 0.5], [0, 0]], atol=0.01)


def test_what_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "ragged.txt").write_text("a 1 2\nb 1\n")
    assert "ragged.txt, line 2: 1 numbers behind a word" in error_of(
        "import", tmp_path / "ragged.txt", "--out", tmp_path / "model"
    )
    assert not (tmp_path / "model").exists()
