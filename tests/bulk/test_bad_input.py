"""Bad input of bulk jobs: each is one line that names the place, and nothing is left behind; through the command."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_potion import InputError
from edge_potion.bulk.encode_files import encode_files

from .inputs import bytes_of, manifest_of, put_csv, put_jsonl, put_lines, put_parquet, texts
from .test_resume import EP

NOT_UTF8 = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 1, 3], np.int32)), pa.py_buffer(b"a\xff\xfe"))


def encode(*words: object, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [EP, "encode", *(word if isinstance(word, bytes) else str(word) for word in words), "--workers", "1"]
    return subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, timeout=120, check=False)


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def doubled(name: str) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=[name, name]), stream)
    return stream.getvalue()


def changed(content: bytes, begin: int, end: int) -> bytes:
    """With other bytes from one place to another, which are counted from the end where they are below 0."""
    held = bytearray(content)
    held[begin:end] = bytes(byte ^ 0x5A for byte in held[begin:end])
    return bytes(held)


def lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


PLAIN = parquet(text=texts(50), id=list(range(50)))
MANY = [{"text": "a", "n": 1}] * 1100  # more than are looked at for types
BAD_FILES: list[tuple[str, bytes, list[str], str]] = [
    ("empty.parquet", b"", [], "cannot read {file}: Parquet file size is 0 bytes"),
    ("cut.parquet", PLAIN[: len(PLAIN) // 2], [], "cannot read {file}: Parquet magic bytes not found"),
    ("footer.parquet", changed(PLAIN, -200, -20), [], "cannot read {file}: Couldn't deserialize thrift"),
    ("huge.parquet", PLAIN[:-8] + b"\xff\xff\xff\x7fPAR1", [], "cannot read {file}: "),
    ("encrypted.parquet", PLAIN[:-4] + b"PARE", [], "cannot read {file}: Could not read encrypted metadata"),
    ("pages.parquet", changed(PLAIN, 4, 120), [], "cannot read {file}: "),
    ("none.parquet", parquet(body=["a"]), [], "{file}: no column 'text'; there are body"),
    ("numbers.parquet", parquet(text=[1]), [], "{file}: the column 'text' is int64; text was expected"),
    ("nested.parquet", parquet(text=[{"a": "b"}]), [], "{file}: the column 'text' is struct<a: string>; text was"),
    ("twice.parquet", doubled("text"), [], "{file}: there are 2 columns 'text'; rename one"),
    ("packed.parquet.gz", gzip.compress(PLAIN), [], "{file}: .gz is more than is unpacked here"),
    ("long.parquet", parquet(text=["a" * 2**24 + "b", "c"]), [], "{file}: a text of more than 16,777,216 bytes"),
    ("null.parquet", parquet(text=["a", None]), ["--on-bad", "fail"], "{file}, row 2: no 'text' there"),
    ("bytes.parquet", parquet(text=NOT_UTF8), ["--on-bad", "fail"], "{file}, row 2: 'text' is not UTF-8"),
    (
        "kept.parquet",
        parquet(text=["a", "b"], k=NOT_UTF8),
        ["--keep", "k", "--format", "jsonl"],
        "{file}, row 2: 'k' cannot be written as JSON",
    ),
    (
        "year.parquet",
        parquet(text=["a"], k=pa.array([2**40], pa.timestamp("s"))),
        ["--keep", "k", "--format", "jsonl"],
        "{file}, row 1: 'k' cannot be written as JSON",
    ),
    (
        "map.parquet",
        parquet(text=["a"], k=pa.array([b"x"])),
        ["--keep", "k", "--format", "jsonl"],
        "which JSON does not",
    ),
    ("wide.txt", "a text\n".encode("utf-16"), [], "{file} is UTF-16, not UTF-8; convert it first"),
    ("bytes.txt", b"fine\n\xff\xfe\n", ["--on-bad", "fail"], "{file}, line 2: the text is not UTF-8"),
    ("long.txt", b"fine\n" + b"a" * 20_000_000, [], "{file}, line 2: more than 16,777,216 bytes without a line's end"),
    ("cut.txt.gz", gzip.compress(b"a text\n" * 1000)[:-9], [], "cannot read {file}: it ends in the middle"),
    ("not.txt.zst", b"a text\n", [], "cannot read {file}: zstd"),
    ("column.txt", b"a\n", ["--keep", "id"], "{file}: a line of text has no column 'id'"),
    ("none.csv", b"id,body\n1,a\n", [], "{file}, its header: no column 'text'; there are id, body"),
    ("twice.csv", b"text,text\na,b\n", [], "{file}, its header: there are 2 columns 'text'"),
    ("ragged.csv", b"id,text\n1,a\n2,b,c\n", ["--on-bad", "fail"], "{file}, line 3: 3 fields, and the header has 2"),
    ("quote.csv", b'id,text\n1,a\n2,"b\n', ["--on-bad", "fail"], "{file}, line 3: unexpected end of data"),
    ("header.csv", b'"id,text\n1,a\n', [], "{file}, line 1: unexpected end of data"),
    ("kept.csv", b"id,text\n\xff,a\n", ["--keep", "id"], "{file}, line 2: 'id' is '\\udcff'"),
    ("list.jsonl", lines({"text": "a"}, [1]), ["--on-bad", "fail"], "{file}, line 2: a list; a JSON object with"),
    ("number.jsonl", lines({"text": 5}), ["--on-bad", "fail"], "{file}, line 1: 'text' is of type int"),
    ("no.jsonl", b'{"text": "a"\n', ["--on-bad", "fail"], "{file}, line 1: no JSON ("),
    ("deep.jsonl", b"[" * 100_000, ["--on-bad", "fail"], "{file}, line 1: no JSON (maximum recursion depth"),
    ("lone.jsonl", b'{"text": "\\ud800"}\n', ["--on-bad", "fail"], "{file}, line 1: 'text' is not UTF-8, or holds a"),
    ("key.jsonl", lines({"k" * 9999: "a"}), ["--on-bad", "fail"], f"no 'text'; there are {'k' * 60}...: name one"),
    ("unknown.jsonl", lines({"text": "a"}), ["--keep", "id"], "{file}, its first 1 records: no column 'id'"),
    (
        "types.jsonl",
        lines({"text": "a", "n": 1}, {"text": "b", "n": "x"}),
        ["--keep", "n"],
        "{file}: the values of 'n'",
    ),
    ("large.jsonl", lines({"text": "a", "n": 2**70}), ["--keep", "n"], "{file}: the values of 'n' are of no one type"),
    ("empty.jsonl", lines({"text": "a", "n": {}}), ["--keep", "n"], "{file}: 'n' holds objects without keys"),
    (
        "more.jsonl",
        lines(*MANY, {"text": "b", "n": 2**70}),
        ["--keep", "n"],
        "{file}, line 1101: 'n' is 11805916207174",
    ),
    (
        "point.jsonl",
        lines(*MANY, {"text": "b", "n": 1.5}),
        ["--keep", "n"],
        "{file}, line 1101: 'n' is 1.5, and the first",
    ),
    ("a.json", b"[]", [], "{file}: a .json file has no text a line"),
    ("a.tar.gz", b"", [], "{file}: a .tar file has no text a line; unpack it first"),
]


@pytest.mark.parametrize(("name", "content", "words", "message"), BAD_FILES, ids=[case[0] for case in BAD_FILES])
def test_a_bad_file_is_one_line_and_leaves_nothing(tmp_path, name, content, words, message):
    file = tmp_path / name
    file.write_bytes(content)
    _is_one_line(encode(file, "--out", tmp_path / "out", *words), message.replace("{file}", str(file)))
    assert not (tmp_path / "out").exists()


def _is_one_line(run: subprocess.CompletedProcess[bytes], message: str) -> None:
    told = run.stderr.decode()
    assert (run.returncode, told.count("\n")) == (1, 1), told
    assert message in told


def _with_loop(folder: Path) -> Path:
    (folder / "a.txt").symlink_to(folder / "a.txt")
    return folder / "a.txt"


def _with_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "a.parquet")
    return folder / "a.parquet"


def _with_nothing(folder: Path) -> Path:
    (folder / "in").mkdir()
    return folder / "in"


BAD_PLACES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda folder: folder / "none.txt", "none.txt: there is no such file or folder"),
    (lambda folder: folder / "*.none", "no file matches"),
    (_with_loop, "a.txt: Too many levels of symbolic links"),
    (_with_pipe, "a.parquet is no plain file, and .parquet is read from its end"),
    (_with_nothing, "in holds no file of texts"),
    (lambda folder: put_lines(folder / "new\nline.json", []), "new\\nline.json: a .json file has no text a line"),
]


@pytest.mark.parametrize(("put", "message"), BAD_PLACES)
def test_an_input_that_is_no_file_of_texts_is_one_line(tmp_path, put, message):
    _is_one_line(encode(put(tmp_path), "--out", tmp_path / "out"), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", "--out '' names nothing"),
        ("-", "--out '-' names nothing; leave it out for JSON lines on stdout"),
        (".", "holds 'file' and no _manifest.json"),
        ("file", "cannot write into file: File exists"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, out, message):
    source = put_lines(tmp_path / "t.txt", ["a"])
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_text("mine")
    _is_one_line(encode(source, "--out", out, cwd=tmp_path / "here"), message)
    assert [entry.name for entry in (tmp_path / "here").iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--keep", "id,id"], "the column 'id' is to be kept twice"),
        (["--keep", " , "], "names nothing"),
        (["--keep", "vector"], "a column 'vector' cannot be kept"),
        (["--shard-rows", "99999999999"], "shard_rows is 99999999999; a whole number in 1..16,777,216"),
        (["--rotate"], "a rotation is for binary codes, and dtype is float32"),
        (["--address", "x"], "--address is of a Ray cluster; say --engine ray, too"),
        (["--truncate-dim", "999"], "truncate_dim is 999, and the model has 256 dimensions"),
    ],
)
def test_an_argument_that_cannot_be_followed_is_one_line(tmp_path, words, message):
    source = put_parquet(tmp_path / "t.parquet", texts(3))
    _is_one_line(encode(source, "--out", tmp_path / "out", *words), message)
    assert not (tmp_path / "out").exists()


def test_rows_that_cannot_be_used_are_one_line_of_warning_whatever_the_files_name_is(tmp_path):
    (tmp_path / "new\nline.txt").write_bytes(b"fine\n\xff\n")
    run = encode(tmp_path / "new\nline.txt", "--out", tmp_path / "out")
    told = run.stderr.decode()
    assert (run.returncode, told.count("\n")) == (0, 1) and "new\\nline.txt, line 2" in told


def test_names_that_are_not_utf8_go_into_the_manifest_and_are_found_again(tmp_path):
    source = os.fsencode(tmp_path) + b"/t\xff.txt"
    with open(source, "wb") as stream:  # noqa: PTH123  # a name of bytes
        stream.write(b"fine\n\xff\n")
    for made in ("2 x 256 float32 in 1 shard\n", "(1 were there)"):
        run = encode(source, "--out", tmp_path / "out")
        assert run.returncode == 0 and made in run.stdout.decode()
    assert manifest_of(tmp_path / "out")["inputs"][0]["path"] == os.fsdecode(source)


def test_a_folder_that_holds_the_output_is_read_again_without_it(tmp_path):
    put_lines(tmp_path / "in" / "a.txt" if (tmp_path / "in").mkdir() is None else tmp_path, texts(20))
    for source in (tmp_path / "in", f"{tmp_path}/in/**"):
        out = tmp_path / "in" / ("out" if source == tmp_path / "in" else "_out")
        assert encode_files(source, out, shard_rows=5).made == 4
        (out / "00000-000001.parquet").unlink()
        assert encode_files(source, out, shard_rows=5).made == 1
        for file in out.iterdir():
            file.unlink()
        out.rmdir()


def test_inputs_that_are_put_right_go_into_the_same_folder(tmp_path):
    put_lines(tmp_path / "t.jsonl", ['{"text": 5}'])
    with pytest.raises(InputError, match="line 1"):
        encode_files(tmp_path / "t.jsonl", tmp_path / "out", on_bad="fail")
    put_jsonl(tmp_path / "t.jsonl", texts(3))
    assert encode_files(tmp_path / "t.jsonl", tmp_path / "out", on_bad="fail").rows == 3


def test_a_csv_of_many_bad_rows_names_the_first(tmp_path):
    put_csv(tmp_path / "t.csv", ["a"])
    with (tmp_path / "t.csv").open("ab") as stream:
        stream.write(b"1,\xff\n" * 20_000)
    summary = encode_files(tmp_path / "t.csv", tmp_path / "out", on_bad="skip")
    assert (summary.rows, summary.bad) == (1, {"not UTF-8": 20_000})
    manifest = manifest_of(tmp_path / "out")
    assert len(manifest["bad_rows"]) == 100 and "t.csv, line 3: 'text' is not UTF-8" in manifest["bad_rows"][0]
    assert len(bytes_of(tmp_path / "out")) == 1
