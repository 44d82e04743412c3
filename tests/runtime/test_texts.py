"""The one reader of texts: every kind of file, packed or not, whole or damaged, and never more memory than it says."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from edge_potion import InputError, MissingExtraError
from edge_potion.texts import FOREIGN, LONGEST_TEXT, kind_of, read_texts

TEXTS = ["First line, naïve.", 'She said "no",\tthen left.', "日本語の文です。", "  spaces  ", "last"]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
PACKED = [ending for ending in PACK if ending]


def table_of(texts: list[str], separator: str, end: str = "\r\n", column: str = "text") -> str:
    written = io.StringIO(newline="")
    rows = csv.writer(written, delimiter=separator, lineterminator=end)
    rows.writerow(["id", column, "other"])
    rows.writerows([number, text, "x"] for number, text in enumerate(texts))
    return written.getvalue()


CONTENT: dict[str, Callable[[list[str]], str]] = {
    ".txt": lambda texts: "".join(text + "\n" for text in texts),
    ".jsonl": lambda texts: "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in texts),
    ".csv": lambda texts: table_of(texts, ","),
    ".tsv": lambda texts: table_of(texts, "\t"),
}


def put(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refused(file: Path, *arguments: object) -> str:
    with pytest.raises(InputError) as failure:
        list(read_texts(file, *arguments))
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", CONTENT)
def test_every_kind_is_read_packed_or_not_with_a_byte_order_mark_or_without(tmp_path, kind, packing, mark):
    content = (mark + CONTENT[kind](TEXTS)).encode()
    assert list(read_texts(put(tmp_path / f"texts{kind}{packing}", PACK[packing](content)))) == TEXTS


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_file_of_several_members_is_read_to_its_end(tmp_path, packing):
    lines = [f"line {number}\n".encode() for number in range(20_000)]
    parts = [b"".join(lines[begin : begin + 5000]) for begin in range(0, 20_000, 5000)]
    halves = [parts[0][:-3], parts[0][-3:], *parts[1:], b""]  # a line may go on in the next member
    packed = b"".join(PACK[packing](part) for part in halves)
    assert list(read_texts(put(tmp_path / f"a.txt{packing}", packed))) == [f"line {n}" for n in range(20_000)]
    assert list(read_texts(put(tmp_path / f"a.log{packing}", packed + b"\0" * 64))) == [
        f"line {n}" for n in range(20_000)
    ]


@pytest.mark.parametrize("packing", PACKED)
def test_what_is_damaged_is_named_and_never_taken_for_the_end(tmp_path, packing):
    content = b"".join(f"line {number} of a file\n".encode() for number in range(20_000))
    packed = PACK[packing](content)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    for broken in (packed[:-1], packed[: len(packed) // 2], packed + b"rubbish", b"no archive", packed + packed[:9]):
        assert "is damaged" in refused(put(tmp_path / f"a.txt{packing}", broken))
    if packing != ".zst":  # the command zstd writes a checksum, the library does not
        refused(put(tmp_path / f"b.txt{packing}", bytes(damaged)))


def test_zst_files_with_a_long_window_skippable_frames_and_a_wrong_checksum(tmp_path):
    text = b"some words\n" * 1000
    long = zstandard.ZstdCompressionParameters.from_level(3, window_log=31, enable_ldm=True)
    written = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=long).stream_writer(written, closefd=False) as stream:
        stream.write(text)
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0meta"
    packed = skippable + written.getvalue() + skippable + PACK[".zst"](text)
    assert list(read_texts(put(tmp_path / "a.txt.zst", packed))) == ["some words"] * 2000
    summed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(text))
    summed[-1] ^= 1
    assert "checksum" in refused(put(tmp_path / "b.txt.zst", bytes(summed)))


@pytest.mark.parametrize("packing", PACKED)
def test_an_empty_file_has_no_texts(tmp_path, packing):
    assert list(read_texts(put(tmp_path / f"a.txt{packing}", b""))) == []
    assert list(read_texts(put(tmp_path / f"b.jsonl{packing}", PACK[packing](b"")))) == []
    assert list(read_texts(put(tmp_path / "a.csv", "\ufeff"))) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\nb", ["a", "b"]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("\n", [""]),
        ("a\r\nb\r\n", ["a", "b"]),
        ("a\r\r\nb\r\n", ["a", "b"]),  # by a program that wrote \r\n as text
        ("a\rb\rc\r", ["a", "b", "c"]),  # classic Mac
        ("a\rb\nc\n", ["a\rb", "c"]),  # a bar in a log: the line is one
        ("a\u2028b\x0bc\x85d\n", ["a\u2028b\x0bc\x85d"]),
        ("\ufeffa\n\ufeffb\n", ["a", "b"]),  # two files, joined
        ("a\ufeffb\n", ["a\ufeffb"]),
        ("\ufeff", []),
        ("\ufeff\r\nb", ["", "b"]),
    ],
)
def test_where_a_line_ends_and_what_is_dropped(tmp_path, content, expected):
    assert list(read_texts(put(tmp_path / "a.txt", content))) == expected
    assert list(read_texts(put(tmp_path / "a.txt.bz2", bz2.compress(content.encode())))) == expected


def test_lines_are_the_same_wherever_a_block_of_the_file_ends(tmp_path, monkeypatch):
    lines = ["é" * (number % 7) + ("\r" if number % 5 == 4 else "") for number in range(200)]
    file = put(tmp_path / "a.txt", "\n".join(lines) + "\n")
    expected = [line.rstrip("\r") for line in lines]
    for size in (1, 2, 3, 5, 64, 1000):
        monkeypatch.setattr("edge_potion.text_lines.BLOCK", size)
        assert list(read_texts(file)) == expected


@pytest.mark.parametrize("kind", CONTENT)
@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16-BE", "UTF-32"])
def test_another_unicode_is_told_by_its_mark(tmp_path, kind, encoding):
    mark = "\ufeff" if encoding == "UTF-16-BE" else ""
    said = refused(put(tmp_path / f"a{kind}", (mark + CONTENT[kind](TEXTS)).encode(encoding)))
    assert f"is {encoding[:6]}, not UTF-8; convert it first (iconv -f {encoding[:6]} -t utf-8)" in said


@pytest.mark.parametrize(("kind", "line"), [(".txt", 3), (".jsonl", 3), (".csv", 4), (".tsv", 4)])
def test_a_line_that_is_not_utf8_is_named_or_counted(tmp_path, kind, line):
    content = CONTENT[kind](["one", "two", "caf\x01", "four"]).encode().replace(b"\\u0001", b"\x01")
    file = put(tmp_path / f"a{kind}", content.replace(b"\x01", b"\xe9"))
    assert f"a{kind}, line {line}: byte" in refused(file)
    skipped: Counter[str] = Counter()
    assert list(read_texts(file, "text", skipped)) == ["one", "two", "four"]
    assert skipped == {"not UTF-8": 1}


def test_json_lines_give_the_text_of_an_object_or_are_one(tmp_path):
    content = '{"vector": [1, 2], "text": "a"}\n\n"b"\r\n {"text": "c\\nd \\ud83d\\ude42"}\n'
    assert list(read_texts(put(tmp_path / "a.jsonl", content))) == ["a", "b", "c\nd 🙂"]
    assert list(read_texts(put(tmp_path / "A.NDJSON", '{"body": "a"}'), "body")) == ["a"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"text": ' + "9" * 5000 + "}", "no JSON"),
        ('{"text": 5}', "'text' is of type int; a string was expected"),
        ('{"text": null}', "'text' is of type NoneType"),
        ('["a"]', "a list; a JSON object with 'text' was expected"),
        ('{"id": 1, "body": "b"}', "no 'text'; there are id, body: name one with --text-column"),
        ("{}", "no 'text'"),
        ('{"text": "lone \\ud800"}', "'text' holds a lone surrogate"),
    ],
)
def test_a_json_line_that_cannot_be_used_is_named_or_counted(tmp_path, line, said):
    file = put(tmp_path / "a.jsonl", f'{{"text": "good"}}\n{line}\n{{"text": "too"}}\n')
    assert f"a.jsonl, line 2: {said}" in refused(file)
    skipped: Counter[str] = Counter()
    found = list(read_texts(file, "text", skipped))
    if "surrogate" in said:  # a corpus counts these by sentence
        assert len(found) == 3
    else:
        assert found == ["good", "too"] and skipped == {"no JSON object with a text": 1}


def test_tables_have_quotes_line_breaks_semicolons_and_long_fields(tmp_path):
    texts = ["two\nlines", 'a "quote"', "x" * 500_000, "", "a, b; c"]
    for end in ("\n", "\r\n"):
        assert list(read_texts(put(tmp_path / "a.csv", table_of(texts, ",", end)))) == texts
        assert list(read_texts(put(tmp_path / "a.csv", table_of(texts, ";", end)))) == texts
        assert list(read_texts(put(tmp_path / "a.TSV", table_of(texts, "\t", end)))) == texts
    assert list(read_texts(put(tmp_path / "mac.csv", "id,text\r1,a\r2,b\r"))) == ["a", "b"]
    assert list(read_texts(put(tmp_path / "b.csv", table_of(texts, ",", column="Körper")), "Körper")) == texts
    assert list(read_texts(put(tmp_path / "c.csv", "id, text \n1,a\n\n2,b\n"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,body\n1,a\n", "its header: no column 'text'; there are id, body: name one with --text-column"),
        ("it rains\nit snows\n", "no column 'text'; there are it rains"),  # no header: never taken for one
        ("text,text\na,b\n", "there are 2 columns 'text'"),
        ("id,text\n1,a\n2,b,c\n", "line 3: 3 fields, and the header has 2; put quotes around what holds a ','"),
        ("id,text\n1,a\n2\n", "line 3: 1 fields"),
        ('id,text\n1,a\n2,"b" c\n', "line 3: "),
        ('id,text\n1,a\n2,"open\n3,c\n', "line 3: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, content, said):
    assert said in refused(put(tmp_path / "a.csv", content))


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    skipped: Counter[str] = Counter()
    file = put(tmp_path / "a.csv", 'id,text\n1,a\n2,b,c\n3\n4,"d" e\n5,f\n')
    assert list(read_texts(file, "text", skipped)) == ["a", "f"]
    assert skipped == {"no text": 3}


STRINGS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
]


@pytest.mark.parametrize("kind", STRINGS, ids=str)
@pytest.mark.parametrize("as_dictionary", [True, False])
def test_parquet_columns_of_every_type_of_text(tmp_path, kind, as_dictionary):
    texts = TEXTS * 3000
    values = pa.array(texts)
    values = values.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else values.cast(kind)
    table = pa.table({"vector": [[1.0]] * len(texts), "text": values})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=as_dictionary, row_group_size=4000)
    assert list(read_texts(tmp_path / "a.parquet")) == texts


def test_parquet_files_that_cannot_be_used_are_named_or_counted(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["a"], "id": [1]}), file)
    assert "no column 'text'; there are body, id: name one with --text-column" in refused(file)
    assert list(read_texts(file, "body")) == ["a"]
    assert "the column 'id' is int64; text was expected" in refused(file, "id")
    pq.write_table(pa.table({"text": pa.array([b"a"], pa.binary())}), file)
    assert "is binary; text was expected" in refused(file)
    raw = pa.array([b"ok", b"caf\xe9", None, b"end"], pa.binary())
    pq.write_table(pa.table({"text": pa.Array.from_buffers(pa.string(), 4, raw.buffers())}), file)
    assert "row 2: 'text' is not UTF-8" in refused(file)
    skipped: Counter[str] = Counter()
    assert list(read_texts(file, "text", skipped)) == ["ok", "end"]
    assert skipped == {"not UTF-8": 1, "no text": 1}
    pq.write_table(pa.table({"text": ["a", None]}), file)
    assert "row 2: no 'text' there" in refused(file)
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), file)
    assert list(read_texts(file)) == []
    whole = file.read_bytes()
    for broken in (b"", b"no parquet", whole[:-5], whole[:10] + whole[-8:]):
        assert "cannot read" in refused(put(file, broken))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("-", ".txt"),
        ("notes", None),
        ("notes.md", None),
        ("app.log.gz", None),
        ("page.html", None),
        ("A.TXT.GZ", ".txt"),
        ("c4.jsonl.0001.zst", ".jsonl"),
        ("data.json.csv", ".csv"),
        ("x.ndjson.bz2", ".jsonl"),
        ("x.parquet", ".parquet"),
    ],
)
def test_the_name_says_how_a_file_is_read(name, kind):
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "v.npy", "A.PDF", "a.xlsx", "a.zip", "a.tar.gz", "a.docx"])
def test_what_would_be_misread_is_refused_by_name(tmp_path, name):
    file = put(tmp_path / name, "a text\n")
    ending = max((each for each in FOREIGN if each in name.lower()), key=len)
    assert f"a {ending} file has no text a line; " in refused(file)


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.txt.gz.xz"])
def test_packings_that_are_not_unpacked_are_refused_by_name(tmp_path, name):
    assert "is more than is unpacked here; unpack it first" in refused(put(tmp_path / name, "a text\n"))


def test_what_is_no_plain_file(tmp_path):
    assert "Is a directory" in refused(tmp_path)
    assert list(read_texts("/dev/null")) == []
    assert "No such file" in refused(tmp_path / "missing.csv")
    assert "cannot read" in refused(tmp_path / "n\0ul.txt")
    assert "cannot read" in refused(tmp_path / "n\0ul.parquet")
    assert "cannot read" in refused(Path("~nobody-of-that-name/a.txt"))
    os.mkfifo(tmp_path / "pipe.jsonl.gz")
    content = gzip.compress(CONTENT[".jsonl"](TEXTS).encode())
    writer = threading.Thread(target=(tmp_path / "pipe.jsonl.gz").write_bytes, args=[content])
    writer.start()
    assert list(read_texts(tmp_path / "pipe.jsonl.gz")) == TEXTS
    writer.join()


def test_stdin_of_a_test_or_a_notebook(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa\r\nb")))
    assert list(read_texts("-")) == ["a", "b"]
    assert not sys.stdin.closed
    monkeypatch.setattr(sys, "stdin", io.StringIO("a"))
    assert "no stream of bytes" in refused("-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin is closed" in refused("-")


PEAK = """
import sys
from pathlib import Path
from edge_potion import InputError
from edge_potion.texts import read_texts
import numpy
if sys.argv[1].endswith("parquet"):
    import pyarrow.parquet, pyarrow.compute
if sys.argv[1].endswith("zst"):
    import zstandard
def peak():  # of this process: getrusage counts what its parent held when it was made
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
before = peak()
try:
    count = sum(1 for _ in read_texts(sys.argv[1]))
    print(count, end="|")
except InputError as error:
    print(error, end="|")
print((peak() - before) // 1024)
"""


def read_in_a_process(file: Path) -> tuple[str, int]:
    """What reading a file came to, and the megabytes that it took at most."""
    done = subprocess.run([sys.executable, "-c", PEAK, file], capture_output=True, text=True, check=True)
    said, _, peak = done.stdout.rpartition("|")
    return said, int(peak)


BOMB = 300_000_000  # bytes of one line


@pytest.fixture(scope="module")
def bombs(tmp_path_factory) -> Path:
    """Small files whose one line, row or value unpacks to hundreds of megabytes."""
    folder = tmp_path_factory.mktemp("bombs")
    beginnings = {".txt": "", ".jsonl": '{"text": "', ".csv": 'text\n"'}
    for packing in PACKED:
        for kind, beginning in beginnings.items():
            if packing != ".zst" and kind != ".txt":
                continue  # once a kind is enough; xz and bz2 take seconds
            with OPEN[packing](folder / f"bomb{kind}{packing}") as stream:
                stream.write(beginning.encode())
                for _ in range(BOMB // 10_000_000):
                    stream.write(b"a" * 10_000_000)
    with OPEN[".gz"](folder / "quote.csv.gz") as stream:  # an open quote, in lines that are short each
        stream.write(b'text\n"')
        for _ in range(BOMB // 10_000_000):
            stream.write((b"a" * 99 + b"\n") * 100_000)
    return folder


OPEN: dict[str, Callable[[Path], Any]] = {
    ".gz": partial(gzip.open, mode="wb", compresslevel=1),
    ".bz2": partial(bz2.open, mode="wb", compresslevel=1),
    ".xz": partial(lzma.open, mode="wb", preset=0),
    ".zst": partial(zstandard.open, mode="wb"),
}


@pytest.mark.parametrize(
    "name",
    ["bomb.txt.gz", "bomb.txt.bz2", "bomb.txt.xz", "bomb.txt.zst", "bomb.jsonl.zst", "bomb.csv.zst", "quote.csv.gz"],
)
def test_a_line_without_end_is_an_error_before_it_takes_memory(bombs, name):
    file = bombs / name
    assert file.stat().st_size < BOMB // 100
    said, peak = read_in_a_process(file)
    assert f"more than {LONGEST_TEXT:,} " in said and f"{name}, line " in said
    assert peak < 200


def test_values_of_a_parquet_file_are_bounded_too(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a" * BOMB]}), file)
    said, peak = read_in_a_process(file)
    assert f"a text of more than {LONGEST_TEXT:,} bytes" in said and peak < 100
    pq.write_table(pa.table({"text": ["a"] * 1000 + ["b" * (LONGEST_TEXT + 1)]}), file)
    assert f"a text of more than {LONGEST_TEXT:,} bytes in rows" in read_in_a_process(file)[0]
    # One value of a megabyte in a million rows: a terabyte, were each a string of its own.
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["x" * 1_000_000]))
    pq.write_table(pa.table({"text": once}), file)
    said, peak = read_in_a_process(file)
    assert said == "1000000" and peak < 300


def test_the_longest_text_is_read(tmp_path):
    text = "a" * LONGEST_TEXT
    assert list(read_texts(put(tmp_path / "a.txt", f"{text}\nb\n"))) == [text, "b"]
    assert "a.txt, line 2: more than" in refused(put(tmp_path / "a.txt", f"b\n{text}a\n"))


def test_any_number_of_lines_takes_no_more_memory(tmp_path):
    with zstandard.open(tmp_path / "a.jsonl.zst", "wb") as stream:
        for _ in range(100):
            stream.write(b'{"text": "some words that are the same"}\n' * 10_000)
    said, peak = read_in_a_process(tmp_path / "a.jsonl.zst")
    assert said == "1000000" and peak < 60


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("a.parquet", "pyarrow", "parquet"), ("a.txt.zst", "zstandard", "zst")]
)
def test_a_missing_package_is_named_with_the_pip_line(tmp_path, monkeypatch, name, module, extra):
    import edge_potion.errors as errors

    real = errors.find_spec
    monkeypatch.setattr(errors, "find_spec", lambda each: None if each == module else real(each))
    file = put(tmp_path / name, b"\x28\xb5\x2f\xfd")
    with pytest.raises(MissingExtraError, match=rf"needs {module}: pip install 'edge-potion\[{extra}\]'"):
        list(read_texts(file))


def test_a_reader_that_is_left_closes_its_file(tmp_path):
    texts = read_texts(put(tmp_path / "a.txt", "a\n" * 1_000_000))
    assert next(texts) == "a"
    texts.close()
    assert not any(str(tmp_path) in str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists())
