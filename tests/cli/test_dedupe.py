"""`edge-potion dedupe`: what is kept stays as it stood, and groups say why the rest went."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .test_cli import SAMPLES, edge_potion

TEXTS = ["It rains.", "I like cheese.", "it rains", "It rains.", "", "Ein Käse"]
KEPT = ["It rains.", "I like cheese.", "", "Ein Käse"]
GROUP = {"number": 1, "text": "It rains."}


def written(file: Path, lines: list[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_stdout_is_what_is_kept_and_stderr_says_how_many(door, tmp_path):
    done = door("dedupe", written(tmp_path / "texts.txt", TEXTS))
    assert done.stdout.splitlines() == KEPT
    assert done.stderr == "6 texts: 4 kept; left out: 1 equal to one before, 1 near one that is kept\n"


def test_groups_say_which_text_stands_for_which_and_how_near_it_is(door, tmp_path):
    texts = written(tmp_path / "texts.txt", TEXTS)
    done = door("dedupe", texts, "--out", tmp_path / "kept.txt", "--groups", tmp_path / "groups.jsonl")
    assert (done.code, done.stdout) == (0, "")
    assert (tmp_path / "kept.txt").read_text(encoding="utf-8").splitlines() == KEPT
    [group] = json_lines((tmp_path / "groups.jsonl").read_text(encoding="utf-8"))
    assert group["kept"] == GROUP
    near, equal = group["duplicates"]
    assert 0.9 <= near.pop("cosine") < 1 and near == {"number": 3, "text": "it rains"}
    assert equal == {"number": 4, "text": "It rains.", "cosine": 1.0}


def test_the_threshold_says_from_which_cosine_on(door, tmp_path):
    texts = written(tmp_path / "texts.txt", TEXTS)
    assert door("dedupe", texts, "--threshold", 1).stdout.splitlines() == [*TEXTS[:3], *TEXTS[4:]]
    assert len(door("dedupe", SAMPLES, "--threshold", 0.3).stdout.splitlines()) < 120
    assert len(door("dedupe", SAMPLES, "--threshold", 0.99).stdout.splitlines()) == 120


def test_json_gives_numbers_and_texts(door, tmp_path):
    done = door("dedupe", written(tmp_path / "texts.txt", TEXTS), "--json")
    assert json_lines(done.stdout) == [{"number": number, "text": TEXTS[number - 1]} for number in (1, 2, 5, 6)]


def test_whole_records_of_json_lines_are_kept(door, tmp_path):
    lines = [
        '{"id": 1,  "text": "It rains."}',
        "",
        '{"text": "it rains", "id": 2}',
        '"cheese"',
        '{"text": "It rains."}',
    ]
    done = door("dedupe", written(tmp_path / "texts.jsonl", lines), "--groups", tmp_path / "groups.jsonl")
    assert done.stdout.splitlines() == [lines[0], lines[3]]
    [group] = json_lines((tmp_path / "groups.jsonl").read_text(encoding="utf-8"))
    assert group["kept"] == GROUP and [each["number"] for each in group["duplicates"]] == [2, 4]


@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_whole_records_of_tables_are_kept_below_their_header(door, tmp_path, ending, mark):
    def record(*fields: str) -> str:
        return mark.join(fields)

    lines = [record("id", '"the\ntext"', "more"), "", record("1", '"It\nrains."', '"a ""b"""'), ""]
    lines += [record("2", "It rains.", ""), record("3", " cheese", '" c"'), record("4", '"It\nrains."', "")]
    table = written(tmp_path / f"texts.{ending}", lines)
    done = door("dedupe", table, "--text-column", "the\ntext")
    assert done.stdout == f"{lines[0]}\n{lines[2]}\n{lines[5]}\n", done.stderr
    assert door("dedupe", table, "--text-column", "the\ntext", "--json").stdout.splitlines() == [
        '{"number": 1, "text": "It\\nrains."}',
        '{"number": 3, "text": " cheese"}',
    ]


def test_a_table_without_records_keeps_its_header(door, tmp_path):
    assert door("dedupe", written(tmp_path / "texts.csv", ["id,text"])).stdout == "id,text\n"


def test_of_parquet_the_texts_are_kept_one_a_line(door, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"body": ["It\nrains.", "it rains", "cheese"]}), tmp_path / "texts.parquet")
    assert door("dedupe", tmp_path / "texts.parquet", "--text-column", "body").stdout == "It rains.\ncheese\n"


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_files_are_read(door, tmp_path, ending, pack):
    file = tmp_path / f"texts.txt.{ending}"
    file.write_bytes(pack("\r\n".join(TEXTS).encode()))
    assert door("dedupe", file).stdout.splitlines() == KEPT


def test_stdin_is_read_once_and_groups_come_of_it_too(tmp_path):
    done = edge_potion("dedupe", "-", "--groups", tmp_path / "groups.jsonl", stdin="\n".join(TEXTS))
    assert done.stdout.splitlines() == KEPT
    assert json_lines((tmp_path / "groups.jsonl").read_text(encoding="utf-8"))[0]["kept"] == GROUP


def test_a_file_may_be_replaced_by_what_is_kept_of_it(door, tmp_path):
    texts = written(tmp_path / "texts.txt", TEXTS)
    door("dedupe", texts, "--out", texts)
    assert texts.read_text(encoding="utf-8").splitlines() == KEPT


def test_an_empty_file_keeps_nothing(door, tmp_path):
    done = door("dedupe", written(tmp_path / "texts.txt", []))
    assert (done.code, done.stdout) == (0, "") and done.stderr.startswith("0 texts: 0 kept")


def test_quiet_says_nothing(door, tmp_path):
    assert door("--quiet", "dedupe", written(tmp_path / "texts.txt", TEXTS)).stderr == ""


def test_errors_are_one_line_and_leave_no_file(door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "texts.txt", TEXTS)
    written(tmp_path / "bad.jsonl", ['{"text": "a"}', "{"])
    (tmp_path / "latin1.txt").write_bytes(b"fine\n" * 10_000 + b"caf\xe9\n")
    for words, said in {
        ("texts.txt", "--threshold", 0): "threshold is 0.0; a cosine above 0 and at most 1 was expected",
        ("texts.txt", "--threshold", 1.5): "threshold is 1.5",
        ("texts.txt", "--threshold", -1): "threshold is -1.0",
        ("texts.txt", "--threshold", "nan"): "threshold is nan",
        ("texts.txt", "--out", "-"): "- is no file to write to",
        ("texts.txt", "--out", "new.txt", "--groups", "./new.txt"): "--out and --groups are both new.txt",
        ("texts.txt", "--out", "none/new.txt"): "cannot write",
        ("texts.txt", "--out", "."): "is no plain file",
        ("none.txt", "--out", "new.txt"): "cannot read none.txt",
        ("bad.jsonl", "--out", "new.txt"): "bad.jsonl, line 2: no JSON",
        ("latin1.txt", "--out", "new.txt", "--groups", "new.jsonl"): "latin1.txt, line 10001: byte 3 is not UTF-8",
        ("texts.npy",): "it holds numbers",
        ("texts.txt", "--model", "none/such/model"): "no such folder",
    }.items():
        ended = door("dedupe", *words)
        assert ended.code == 1 and ended.stdout == "" and said in ended.error, ended
        assert ended.stderr.count("error: ") == 1 and "Traceback" not in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "bad.jsonl",
        "latin1.txt",
        "texts.txt",
    ]


def test_a_full_disk_is_told_in_one_line(small_disk, tmp_path):
    texts = written(tmp_path / "texts.txt", [f"line {number} of many" for number in range(20_000)])
    command = [Path(sys.executable).parent / "edge-potion", "dedupe", texts, "--out", tmp_path / "kept.txt"]
    full = {**os.environ, "TMPDIR": str(small_disk)}
    done = subprocess.run(command, capture_output=True, text=True, env=full, check=False)
    assert done.returncode == 1 and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert f"cannot hold the texts in {small_disk}: No space left" in done.stderr
    assert not (tmp_path / "kept.txt").exists()


def test_help_loads_no_numpy():
    code = "import sys; from edge_potion.cli import main; sys.argv[1:] = ['dedupe', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass\nprint('numpy' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "edge-potion dedupe notes.txt" in done.stdout and done.stderr.splitlines()[-1] == "False"
