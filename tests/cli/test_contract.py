"""What scripts read of each command: exit codes, and the shape of stdout; progress and notes are stderr's."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from edge_potion.find import BUILT_IN, BUILT_IN_FOLDER

from ..models import DATA

VERBS = (
    "distill",
    "train",
    "featurize",
    "recipe",
    "export",
    "push",
    "encode",
    "search",
    "dedupe",
    "evaluate",
    "benchmark",
    "verify",
)
# stdout of a command that succeeds, a pattern a line; the last stands for the rest too.
SIZE = r" *\d+\.\d\d MB  \S+ +\S+ +\S+"
FOLDER = r"\S+: 8 dimensions, normalized, cut at 16 tokens"
SUCCEEDS = {
    "distill {teacher} --out new --dims 4 --device cpu": [r"new: 8 tokens x 4 dimensions"],
    "recipe": [r"\S+ +\S.*"],
    "recipe tiny": [r"(#.*|\[\w+\]|\w+ = .*)?"],
    "export {model} --out new --graphs bag": [FOLDER, rf"{SIZE}|opset 18, IR version 8; .*|edge_potion.*|version: .*"],
    "encode texts.txt --truncate-dim 2": [r'\{"text": "[^"]*", "vector": \[[-\d.e]+, [-\d.e]+\]\}'],
    "encode texts.txt --out v.npy --model {bundle}": [r"v\.npy: 3 x 8 float32"],
    "search texts.txt cat --top 2": [r"-?\d+\.\d{3}\t\d+\t\S.*\t-?\d\.\d{3}\t\d+\.\d{3}"],
    "search texts.txt 🙂": [],
    "dedupe texts.txt": [r".*"],
    "dedupe texts.txt --json": [r'\{"number": \d+, "text": "[^"]*"\}'],
    "verify {bundle}": [r"(ok|-) +\S+.*"],
    "info {bundle}": [
        FOLDER,
        rf"{SIZE}|version: .*|the text graph runs in the native engine \(.*|providers here: cpu.*|edge-potion \d.*",
    ],
    "info {model}": [r"\S+: a static model of 32 tokens, 8 dimensions.*", r"it holds no graph.*|providers.*|edge-.*"],
    "evaluate {model} --suite suite --out new": ["report half", "model .*", r"\S+/hand .*", r"new: report\.json.*"],
}
# One line on stderr, nothing on stdout, exit code 1.
FAILS = {
    "distill nobody/here --out new": "'nobody/here' is no folder here",
    "distill {teacher} --out new --dims 99": "--dims is 99",
    "train --recipe nosuch --out new": "nosuch",
    "train --recipe tiny --teacher {teacher} --corpus none.txt --out new": "none.txt",
    "featurize --recipe tiny --teacher {teacher} --corpus none.txt --out new": "none.txt",
    "recipe nosuch": "nosuch",
    "export {model} --out new --quantize int4": "no precision 'int4'",
    "export nothing/here/now": "no such folder: nothing/here/now",
    "push {model} static": "'static' is no hub id",
    "push empty us/static": "empty",
    "encode none.txt": "cannot read none.txt",
    "encode texts.txt --out v.csv": "must end in .npy, .parquet, .jsonl",
    "encode texts.txt --provider nosuch": "nosuch",
    "encode texts.txt --model texts.txt": "texts.txt is a file",
    "search none.txt cat": "cannot read none.txt",
    "search texts.csv cat": "no column 'text'",
    "dedupe texts.csv": "no column 'text'",
    "dedupe texts.txt --threshold 2": "threshold is 2.0",
    "evaluate {model} --suite none": "none is not there",
    "benchmark --quick --peers nosuch": "there is no peer 'nosuch'",
    "benchmark --threads some": "--threads is 'some'",
    "benchmark --providers ,": "names no provider",
    "verify empty": "empty is no bundle",
    "info none/such/folder": "no such folder",
    "info empty": "empty",
}
# What the command line itself gets wrong: exit code 2, nothing on stdout.
MISTYPED = {
    "nosuch": "No such command 'nosuch'",
    "serach": "search",
    "encode --outt v.npy": "No such option: --outt",
    "encode --batch-size none": "--batch-size",
    "search": "Missing argument",
    "search texts.txt cat --top 0": "--top",
    "dedupe": "Missing argument",
    "dedupe texts.txt --threshold near": "--threshold",
    "distill teacher": "Missing option '--out'",
    "train": "Missing option '--out'",
    "featurize": "Missing option '--out'",
    "evaluate model": "name one of --data, --pairs and --suite",
    "evaluate model --data a.csv --suite mteb": "name one of --data, --pairs and --suite: here are --data and --suite",
    "evaluate model --pairs a.csv --label kind": "--label goes with --data, and --pairs is named",
    "evaluate model --data a.csv --seeds 0": "--seeds",
    "export --max-tokens 0": "--max-tokens",
    "push model": "Missing argument",
    "encode texts.txt --graph bags": "'bags' is not one of",
    "search texts.txt cat --precision int4": "'int4' is not one of",
    "verify one two": "unexpected extra argument",
    "info one two": "unexpected extra argument",
    "recipe one two": "unexpected extra argument",
    "benchmark --minutes 0": "--minutes",
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder to be in, with small inputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "texts.txt").write_text("the cat sat on a mat\na dog ran\n\n")
    (tmp_path / "texts.csv").write_text("body\nthe cat\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "suite" / "STS16").mkdir(parents=True)
    rows = [{"sentence1": one, "sentence2": "the cat", "score": score} for score, one in enumerate(("a", "dog", "cat"))]
    with gzip.open(tmp_path / "suite" / "STS16" / "test.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path


def words_of(command: str, request: pytest.FixtureRequest) -> list[str]:
    """The command with the small models that it names, which are made only then."""
    fixtures = {"{model}": "hand_folder", "{bundle}": "hand_bundle", "{teacher}": "bert_teacher"}
    words = []
    for word in command.split():
        words.append(str(request.getfixturevalue(fixtures[word])) if word in fixtures else word)
    return words


def fits(stdout: str, patterns: list[str]) -> bool:
    lines = stdout.splitlines()
    wanted = patterns + patterns[-1:] * (len(lines) - len(patterns))
    return len(lines) >= len(patterns) and all(map(re.fullmatch, wanted, lines))


@pytest.mark.parametrize("command", SUCCEEDS)
def test_a_command_that_succeeds_writes_its_result_to_stdout(command, here, door, request):
    ended = door(*words_of(command, request))
    assert ended.code == 0, ended.stderr
    assert fits(ended.stdout, SUCCEEDS[command]), ended.stdout


@pytest.mark.parametrize("command", FAILS)
def test_a_command_that_fails_ends_with_one_line_on_stderr_and_exit_code_1(command, here, door, request):
    ended = door(*words_of(command, request))
    assert (ended.code, ended.stdout) == (1, ""), ended.stdout
    assert FAILS[command] in ended.error and ended.stderr.count("error: ") == 1
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", MISTYPED)
def test_a_command_line_that_is_wrong_is_exit_code_2(command, here, door):
    ended = door(*command.split())
    assert (ended.code, ended.stdout) == (2, "")
    assert MISTYPED[command] in " ".join(ended.stderr.split()) and "Traceback" not in ended.stderr


def test_training_prints_a_table_of_its_stages_and_the_models_folder(here, door, small_teacher):
    ended = door("train", "--recipe", "tiny", "--teacher", small_teacher, "--corpus", DATA, "--out", "run")
    assert ended.code == 0, ended.stderr
    *_, last = lines = ended.stdout.splitlines()
    assert re.fullmatch(r"\S+: 300 tokens x 4 dimensions", last)
    assert all(any(name in line for line in lines) for name in ("1-distil", "2-featurize", "3-contrast", "6-pca"))
    assert "next: edge-potion export" in ended.stderr


def test_featurizing_prints_the_folder_of_its_shards(here, door, small_teacher):
    ended = door("featurize", "--recipe", "tiny", "--teacher", small_teacher, "--corpus", DATA, "--out", "run")
    assert ended.code == 0, ended.stderr
    assert Path(ended.stdout.strip()).is_dir() and ended.stdout.count("\n") == 1


def test_a_quick_benchmark_prints_its_table_and_the_files_it_wrote(here, door, hand_folder):
    door("export", hand_folder, "--out", "bundle")
    words = ("--quick", "--peers", "none", "--providers", "cpu", "--graphs", "bag", "--precision", "int8")
    ended = door("benchmark", "bundle", *words, "--out", "new")
    assert ended.code == 0, ended.stderr
    assert "bag" in ended.stdout and ended.stdout.endswith("new: report.json, report.md, report.html\n")


def test_a_bundle_that_fails_its_check_is_exit_code_1_with_the_result_on_stdout(here, door):
    folder = Path(shutil.copytree(BUILT_IN_FOLDER / BUILT_IN, here / "copy"))
    (folder / "tokenizer_config.json").write_text("{}")
    ended = door("verify", folder)
    assert ended.code == 1 and "error" not in ended.stderr
    assert re.search(r"^FAILED  files", ended.stdout, re.MULTILINE)


def test_nothing_at_all_is_the_help_and_exit_code_2(door):
    ended = door()
    assert ended.code == 2
    assert all(f" {verb} " in ended.stdout + ended.stderr for verb in VERBS)
