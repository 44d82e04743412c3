"""Rows of a local suite are held to their fields at the border, by file and line; no file is read without a bound."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import random
from pathlib import Path
from typing import Any

import pytest
import zstandard

from edge_potion import InputError
from edge_potion.benchmarks.quality import suite as limits
from edge_potion.benchmarks.quality.suite import SUITE, Task, load_rows, suite_digest, tasks_there

STS, PAIRS, CLASSES = (
    Task("STS16", "STS", "report"),
    *(next(task for task in SUITE if task.name == name) for name in ("TwitterURLCorpus", "MTOPIntent")),
)
PAIR = {"sentence1": "a", "sentence2": "b"}
GOOD: dict[str, list[dict[str, Any]]] = {
    "STS": [{**PAIR, "score": 1}, {**PAIR, "score": 2.5}, {**PAIR, "score": -3}],
    "PairClassification": [{**PAIR, "label": 0}, {**PAIR, "label": 1}],
    "Classification": [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}],
}


def packed(folder: Path, task: Task, lines: list[Any] | bytes, split: str = "test") -> Path:
    """A file of the suite: rows, lines of JSON as they are, or bytes."""
    file = folder / task.name / f"{split}.jsonl.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(lines, list):
        lines = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines).encode()
    with gzip.open(file, "wb", compresslevel=1) as stream:
        stream.write(lines)
    return folder


def fault_of(folder: Path, task: Task) -> str:
    with pytest.raises(InputError) as raised:
        load_rows(folder, task)
    assert "\n" not in str(raised.value) and str(folder) not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("task", "row", "fault"),
    [
        (STS, [1, 2], "is [1, 2]; an object with sentence1, sentence2, score was expected"),
        (STS, "null", "is None; an object"),
        (STS, {"sentence1": "a", "score": 1}, "has no sentence2"),
        (STS, PAIR, "has no score"),
        (STS, {**PAIR, "sentence2": None, "score": 1}, "sentence2 is None; a string"),
        (STS, {**PAIR, "sentence1": 7, "score": 1}, "sentence1 is 7"),
        (STS, {**PAIR, "sentence1": "\ud83d", "score": 1}, "sentence1 is '\\ud83d'; a string without lone surrogates"),
        (STS, {**PAIR, "score": "4.6"}, "score is '4.6'; a finite number"),
        (STS, {**PAIR, "score": True}, "score is True"),
        (STS, {**PAIR, "score": None}, "score is None"),
        (STS, {**PAIR, "score": float("nan")}, "score is nan"),
        (STS, {**PAIR, "score": float("-inf")}, "score is -inf"),
        (STS, '{"sentence1": "a", "sentence2": "b", "score": 1e999}', "score is inf"),
        (STS, {**PAIR, "score": 10**400}, "score is 1000"),
        (STS, '{"sentence1": "a", "sentence2"', "is not JSON"),
        (STS, "[" * 100_000, "is not JSON"),
        (STS, '{"score": ' + "9" * 5000 + "}", "is not JSON"),
        (PAIRS, {**PAIR, "label": 2}, "label is 2; 0 or 1 was expected"),
        (PAIRS, {**PAIR, "label": "1"}, "label is '1'; 0 or 1"),
        (PAIRS, {**PAIR, "label": False}, "label is False; 0 or 1"),
        (PAIRS, {**PAIR, "label": 1.0}, "label is 1.0; 0 or 1"),
        (CLASSES, {"text": ["a"], "label": "x"}, "text is ['a']; a string"),
        (CLASSES, {"text": "a", "label": None}, "label is None; a string or a whole number"),
        (CLASSES, {"text": "a", "label": 1.5}, "label is 1.5; a string or"),
        (CLASSES, {"text": "a", "label": True}, "label is True; a string or"),
        (CLASSES, {"text": "a", "label": 2**64}, "label is 18446744073709551616; a string or"),
        (CLASSES, {"text": "a", "label": "\udc00"}, "label is '\\udc00'; a string or"),
        (CLASSES, {"text": "a", "label": 3}, "labels are 'x' and 3; either strings or whole numbers"),
    ],
    ids=lambda value: getattr(value, "kind", str(value)[:40]),
)
def test_a_row_that_is_not_what_its_task_has_is_named_by_file_and_line(task, row, fault, tmp_path):
    good = GOOD[task.kind]
    packed(tmp_path, task, good, "train")
    packed(tmp_path, task, [good[0], "", row, good[1]])
    assert fault_of(tmp_path, task).startswith(f"{task.name}/test.jsonl.gz, line 3")
    assert fault in fault_of(tmp_path, task)


def test_a_fault_in_the_training_rows_is_told_of_their_file(tmp_path):
    packed(tmp_path, CLASSES, GOOD["Classification"])
    packed(tmp_path, CLASSES, [{"text": "a"}], "train")
    assert fault_of(tmp_path, CLASSES).startswith("MTOPIntent/train.jsonl.gz, line 1 has no label")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"sentence1": "caf\xe9"}\n', "not UTF-8"),
        ('{"sentence1": "a"}'.encode("utf-16"), "not UTF-8"),
        (b"", "holds no row"),
        (b"\n\r\n", "holds no row"),
    ],
)
def test_a_file_of_other_bytes_is_named(content, fault, tmp_path):
    assert fault in fault_of(packed(tmp_path, STS, content), STS)


def test_marks_and_line_ends_of_other_systems_are_read(tmp_path):
    rows = "\r\n".join(f"\ufeff{json.dumps(row)}" for row in GOOD["STS"])
    packed(tmp_path, STS, f"{rows}\r\n\r\n".encode())
    assert load_rows(tmp_path, STS).test == GOOD["STS"]


def test_what_a_row_holds_beside_its_fields_counts_for_nothing(tmp_path):
    packed(tmp_path, STS, [{"id": number, **row, "lang": None} for number, row in enumerate(GOOD["STS"])])
    assert load_rows(tmp_path, STS).test == GOOD["STS"]


@pytest.mark.parametrize("damage", ["cut", "plain", "flipped", "nothing"])
def test_a_damaged_file_is_named(damage, tmp_path):
    random_ = random.Random(0)
    rows = [{"sentence1": str(random_.random()), "sentence2": "b", "score": i} for i in range(300)]
    file = packed(tmp_path, STS, rows) / "STS16" / "test.jsonl.gz"
    content = file.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 9]) + content[middle + 9 :]
    file.write_bytes({"cut": content[:middle], "plain": b'{"a": 1}\n', "flipped": flipped, "nothing": b""}[damage])
    told = fault_of(tmp_path, STS)
    assert "STS16/test.jsonl.gz" in told and ("damaged" in told or "line" in told or "holds no row" in told)
    assert str(tmp_path) not in told and "\n" not in told


@pytest.mark.parametrize(
    ("task", "rows", "train", "fault"),
    [
        (STS, [GOOD["STS"][0]], (), "score is 1 in every row"),
        (STS, [{**PAIR, "score": 4}, {**PAIR, "score": 4.0}], (), "score is 4 in every row"),
        (PAIRS, [{**PAIR, "label": 1}] * 3, (), "label is 1 in every row"),
        (CLASSES, GOOD["Classification"], [{"text": "a", "label": "x"}] * 9, "train has a single label"),
        (CLASSES, GOOD["Classification"], [{"text": "a", "label": str(n)} for n in range(1025)], "at most 1,024"),
        (CLASSES, GOOD["Classification"], [{"text": "a", "label": n} for n in range(3)], "such as"),
        (CLASSES, GOOD["Classification"], [{"text": "a", "label": f"z{n}"} for n in range(3)], "is one of train's"),
    ],
)
def test_rows_of_which_no_score_can_come_say_so(task, rows, train, fault, tmp_path):
    packed(tmp_path, task, rows)
    packed(tmp_path, task, list(train), "train")
    assert fault in fault_of(tmp_path, task)


def test_a_split_that_is_tuned_on_may_leave_no_row(tmp_path):
    sick = next(task for task in SUITE if task.name == "SICK-R" and task.half == "report")
    for split in ("test", "validation"):
        packed(tmp_path, sick, GOOD["STS"], split)
    assert "no row is left without those of validation" in fault_of(tmp_path, sick)


@pytest.mark.parametrize(
    ("limit", "value", "fault"),
    [
        ("LONGEST_LINE", 20, "line 1: longer than 20 bytes"),
        ("MOST_BYTES", 120, "line 3: more than 120 bytes of rows"),
        ("MOST_ROWS", 2, "line 3: a file may have 2 rows"),
    ],
)
def test_no_more_is_unpacked_than_the_limits_allow(limit, value, fault, tmp_path, monkeypatch):
    packed(tmp_path, STS, GOOD["STS"])
    monkeypatch.setattr(limits, limit, value)
    assert fault in fault_of(tmp_path, STS)


def test_a_bomb_in_one_line_ends_at_the_limit(tmp_path):
    """300 kB that unpack to 300 MB: one string, never closed."""
    packed(tmp_path, STS, b'{"sentence1": "' + b"a" * 300_000_000)
    assert fault_of(tmp_path, STS).startswith("STS16/test.jsonl.gz, line 1: more than 16,777,216 bytes without")
    packed(tmp_path, STS, b'{"sentence1": "' + b"a" * 2_000_000 + b'"}\n')
    assert fault_of(tmp_path, STS) == "STS16/test.jsonl.gz, line 1: longer than 1,048,576 bytes; cut the text"


@pytest.mark.parametrize("packing", ["", ".bz2", ".xz", ".zst"])
def test_a_suite_is_read_by_the_reader_of_all_texts(tmp_path, packing):
    """Packed in any way, a byte-order mark before it, and in two members."""
    whole = packed(tmp_path, STS, GOOD["STS"]) / "STS16" / "test.jsonl.gz"
    lines = gzip.decompress(whole.read_bytes()).splitlines(keepends=True)
    whole.unlink()
    pack = {"": bytes, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[packing]
    parts = (b"\xef\xbb\xbf" + lines[0], b"".join(lines[1:]))
    whole.with_name(f"test.jsonl{packing}").write_bytes(b"".join(map(pack, parts)))
    assert load_rows(tmp_path, STS).test == GOOD["STS"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    packed(tmp_path, STS, GOOD["STS"])
    whole = suite_digest(tmp_path, [STS])
    (tmp_path / "STS16" / "test.jsonl.gz").unlink()
    os.mkfifo(tmp_path / "STS16" / "test.jsonl.gz")
    assert fault_of(tmp_path, STS) == "STS16/test.jsonl.gz is no file"
    assert suite_digest(tmp_path, [STS]) != whole


def test_a_suite_that_is_not_there_says_what_was_expected(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, found in (("nothere", "is not there"), ("file", "is a file"), ("n" * 300, "cannot be read")):
        with pytest.raises(InputError, match=f"{name[:9]}.* {found}.*suite was expected") as raised:
            tasks_there(tmp_path / name, SUITE)
        assert "\n" not in str(raised.value)


def test_a_folder_without_a_task_names_each_once_and_the_layout(tmp_path):
    with pytest.raises(InputError, match="holds none of the suite's tasks") as raised:
        tasks_there(tmp_path, SUITE)
    told = str(raised.value)
    assert told.count("STSBenchmark") == told.count("SICK-R") == 1
    assert "DIR/STS16/test.jsonl.gz" in told and '"sentence1", "sentence2", "score"' in told and "\n" not in told


def test_of_a_tasks_splits_those_are_there_that_have_a_file(tmp_path):
    benchmark = next(task for task in SUITE if task.title == "STSBenchmark")
    packed(tmp_path, benchmark, GOOD["STS"])
    packed(tmp_path, STS, GOOD["STS"], "tests")
    assert [task.title for task in tasks_there(tmp_path, SUITE)] == ["STS16", "STSBenchmark"]
    assert fault_of(tmp_path, STS) == "STS16/test.jsonl.gz is not there"


def test_the_shared_suite_has_no_fault(shared):
    for task in SUITE:
        assert load_rows(shared / "eval", task).test
