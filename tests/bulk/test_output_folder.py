"""The folder of a bulk job says what is whole in it, whenever its writer was killed and whatever was taken out."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_potion import InputError
from edge_potion.bulk import manifest
from edge_potion.bulk.encode_files import encode_files
from edge_potion.writing import file_written_whole

from .inputs import manifest_of, put_lines, put_parquet, texts


def test_a_stream_that_ends_early_is_no_whole_job(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n" * 10)))
    encode_files("-", out, shard_rows=2)
    (out / "00000-000001.parquet").unlink()
    for said in (b"", b"a\n" * 4, b"a\n" * 8):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))
        with pytest.raises(InputError, match="what is read now ends before the shard 00000-00000"):
            encode_files("-", out, shard_rows=2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n" * 10)))
    assert encode_files("-", out, shard_rows=2).rows == 10


def test_a_rotation_that_was_removed_is_not_made_anew_beside_codes_of_it(tmp_path):
    source = put_lines(tmp_path / "t.txt", texts(300))
    out = tmp_path / "out"
    encode_files(source, out, dtype="binary", rotate=True)
    (out / "_rotation.safetensors").unlink()
    with pytest.raises(InputError, match=r"_rotation\.safetensors was removed"):
        encode_files(source, out, dtype="binary", rotate=True)


@pytest.mark.parametrize("at", ["_manifest.json", "_shards.jsonl"])
def test_a_kill_while_a_job_begins_or_ends_loses_no_shard(tmp_path, monkeypatch, at):
    """The manifest and the journal are written one after the other, and one of them is not."""
    source = put_parquet(tmp_path / "t.parquet", texts(1000))
    out = tmp_path / "out"
    encode_files(source, out, shard_rows=100)
    (out / "00000-000003.parquet").unlink()

    @contextmanager
    def killed(file: Path) -> Iterator[Path]:
        if file.name == at:
            raise KeyboardInterrupt
        with file_written_whole(file) as beside:
            yield beside

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(manifest, "file_written_whole", killed)
        encode_files(source, out, shard_rows=100)
    assert encode_files(source, out, shard_rows=100).made == 1
    (out / "_shards.jsonl").write_text("left by a process that was killed once the manifest was whole")
    assert encode_files(source, out, shard_rows=100).made == 0
    assert not (out / "_shards.jsonl").exists()


def test_a_manifest_that_is_damaged_is_told(tmp_path):
    source = put_lines(tmp_path / "t.txt", ["a"])
    out = tmp_path / "out"
    encode_files(source, out)
    whole = manifest_of(out)
    for shards in ([5], [{"name": "a"}], [{**whole["shards"][0], "sizes": 5}], 5):
        (out / "_manifest.json").write_text(json.dumps({**whole, "shards": shards}))
        with pytest.raises(InputError, match=r"_manifest\.json is damaged"):
            encode_files(source, out)


def test_a_manifest_names_a_bounded_number_of_bad_rows(tmp_path):
    put_parquet(tmp_path / "t.parquet", [None] * 3000)
    encode_files(tmp_path / "t.parquet", tmp_path / "out", shard_rows=100)
    told = manifest_of(tmp_path / "out")
    assert len(told["bad_rows"]) == 1000 == sum(len(shard["named"]) for shard in told["shards"])
    assert told["bad"] == {"null": 3000}


def test_a_job_that_is_done_reads_no_input_again(tmp_path, monkeypatch):
    source = put_lines(tmp_path / "t.txt", texts(100))
    encode_files(source, tmp_path / "out", shard_rows=10)
    monkeypatch.setattr("edge_potion.bulk.encode_files.slices_of", None)
    assert encode_files(source, tmp_path / "out", shard_rows=10).rows == 100
