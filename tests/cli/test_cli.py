"""The door: every command as a user types it; stdout is the result, stderr the progress, errors one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel

SAMPLES = str(files("edge_potion").joinpath("samples/sentences.txt"))


def edge_potion(*words: object, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "edge-potion", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False, encoding="utf-8")
    assert done.returncode == code, done.stderr
    return done


def error_of(*words: object, stdin: str = "") -> str:
    """The one line on stderr of a command that fails."""
    done = edge_potion(*words, stdin=stdin, code=1)
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.rstrip().endswith(lines[0])
    return lines[0]


def test_help_tells_a_stranger_what_each_command_does():
    assert "distill a sentence-transformer, export it to ONNX" in " ".join(edge_potion("--help").stdout.split())
    for command in ("distill", "export", "encode", "search", "info"):
        said = edge_potion(command, "--help").stdout
        assert f"edge-potion {command}" in said and "Example" in said


def test_export_then_info(tmp_path, hand_folder):
    bundle = tmp_path / "bundle"
    said = edge_potion(
        "export", hand_folder, "--quantize", "int8,float16,none", "--graphs", "bag,tokens", "--out", bundle
    )
    assert "opset 18, IR version 8" in said.stdout
    assert "onnx/bag_quantized.onnx" in said.stdout and "MB" in said.stdout
    info = edge_potion("info", bundle).stdout
    for word in ("8 dimensions, normalized, cut at 16 tokens", "int8", "float16", "float32", "providers here: cpu"):
        assert word in info
    assert "providers here" in edge_potion("info").stdout


def test_export_without_out_takes_the_models_name(hand_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edge_potion("export", hand_folder)
    assert (tmp_path / "hand-onnx" / "onnx" / "bag_quantized.onnx").is_file()


def test_token_embeddings_is_an_option(hand_folder, tmp_path):
    import onnx

    edge_potion("export", hand_folder, "--token-embeddings", "--graphs", "tokens", "--out", tmp_path / "out")
    model = onnx.load(tmp_path / "out" / "onnx" / "model_quantized.onnx")
    assert [output.name for output in model.graph.output] == ["sentence_embedding", "token_embeddings"]


def test_encode_writes_the_three_formats(bundle, tmp_path):
    import pyarrow.parquet as pq

    texts = Path(SAMPLES).read_text(encoding="utf-8").splitlines()
    expected = EdgeModel.from_pretrained(bundle.folder).encode(texts)
    for name in ("v.npy", "v.parquet", "v.jsonl"):
        assert (
            "120 x 256 float32"
            in edge_potion("encode", "--model", bundle.folder, SAMPLES, "--out", tmp_path / name).stdout
        )
    np.testing.assert_allclose(np.load(tmp_path / "v.npy", allow_pickle=False), expected, atol=1e-6)
    table = pq.read_table(tmp_path / "v.parquet")
    assert table["text"].to_pylist() == texts
    np.testing.assert_allclose(np.stack(table["vector"].to_numpy()), expected, atol=1e-6)
    rows = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == texts
    np.testing.assert_allclose([row["vector"] for row in rows], expected, atol=1e-6)


def test_encode_reads_stdin_and_writes_stdout(bundle):
    done = edge_potion("encode", "--model", bundle.folder, "-", "--truncate-dim", 64, stdin="ein Haus\n\n日本\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["ein Haus", "", "日本"]
    assert len(rows[0]["vector"]) == 64
    assert not any(rows[1]["vector"])


def test_an_empty_file_gives_an_empty_array(bundle, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    edge_potion("encode", "--model", bundle.folder, tmp_path / "empty.txt", "--out", tmp_path / "v.npy")
    assert np.load(tmp_path / "v.npy").shape == (0, 256)


def test_a_long_file_streams_into_one_array(bundle, tmp_path):
    (tmp_path / "long.txt").write_text("a line\n" * 20_000)
    edge_potion("encode", "--model", bundle.folder, tmp_path / "long.txt", "--out", tmp_path / "v.npy")
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.shape == (20_000, 256)
    assert np.array_equal(vectors[0], vectors[-1])


def test_search_finds_by_meaning(bundle):
    first, *rest = edge_potion(
        *("search", "--model", bundle.folder, SAMPLES, "my bread did not rise", "--top", 3)
    ).stdout.splitlines()
    score, line, text, meaning, words = first.split("\t")
    assert "dough" in text and float(meaning) > 0.4 and float(words) == 0 and float(score) > 2
    assert Path(SAMPLES).read_text(encoding="utf-8").splitlines()[int(line) - 1] == text
    assert len(rest) == 2


def test_errors_are_one_line(bundle, hand_folder, tmp_path, door):
    def said(*words: object) -> str:
        ended = door(*words)
        assert ended.code == 1 and ended.stderr.count("error: ") == 1 and "Traceback" not in ended.stderr
        return ended.error

    (tmp_path / "latin1.txt").write_bytes(b"fine\ncaf\xe9\n")
    encode = ("encode", "--model", bundle.folder)
    assert "is no folder here, and the model hub" in error_of("export", "nobody-here/nothing")
    assert "no precision 'int4'" in said("export", hand_folder, "--quantize", "int4")
    assert "provider 'cuda' is not offered" in said(*encode, SAMPLES, "--provider", "cuda")
    assert "latin1.txt, line 2: byte 3 is not UTF-8" in error_of(*encode, tmp_path / "latin1.txt")
    assert "cannot read" in said(*encode, tmp_path / "missing.txt")
    assert "must end in .npy, .parquet, .jsonl" in said(*encode, SAMPLES, "--out", "v.csv")
    assert "cannot write" in said(*encode, SAMPLES, "--out", tmp_path / "no" / "v.npy")
    assert "truncate_dim is 999" in said(*encode, SAMPLES, "--truncate-dim", 999)
    assert "no such folder" in said("distill", tmp_path / "missing", "--out", tmp_path / "out")


def test_a_run_that_fails_midway_leaves_no_file(bundle, tmp_path):
    (tmp_path / "texts.txt").write_bytes(b"fine\n" * 10_000 + b"\xff\n")
    error_of("encode", "--model", bundle.folder, tmp_path / "texts.txt", "--out", tmp_path / "v.npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.txt"]


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A line of shell with $EP for our command; its exit code is the command's, pipes or not."""
    environment = {**os.environ, "EP": str(Path(sys.executable).parent / "edge-potion"), **environment}
    command = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, env=environment)


def test_a_closed_pipe_ends_the_command_quietly(bundle):
    done = shell(f"$EP encode --model {bundle.folder} {SAMPLES} | head -c 10")
    assert done.stdout == '{"text": "'
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_a_full_disk_under_stdout_is_one_line(bundle):
    done = shell(f"$EP search --model {bundle.folder} {SAMPLES} bread > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the result: No space left on device\n"


def test_a_closed_stdin_is_one_line(bundle):
    assert "error: stdin is closed" in shell(f"$EP encode --model {bundle.folder} - <&-").stderr


def test_a_closed_stdout_is_no_crash(bundle, tmp_path):
    done = shell(f"$EP encode --model {bundle.folder} {SAMPLES} --out {tmp_path}/v.npy >&-")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert np.load(tmp_path / "v.npy").shape == (120, 256)


OUTPUTS = ("v.npy", "v.parquet", "v.jsonl")


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_a_stderr_that_takes_nothing_costs_no_result(bundle, tmp_path, name, stderr):
    done = shell(f"$EP encode --model {bundle.folder} {SAMPLES} --out {tmp_path}/{name} {stderr}")
    assert done.returncode == 0 and "120 x 256 float32" in done.stdout
    edge_potion("encode", "--model", bundle.folder, SAMPLES, "--out", tmp_path / f"second-{name}")
    if name != "v.parquet":  # what others write on 2 went nowhere near the file
        assert (tmp_path / name).read_bytes() == (tmp_path / f"second-{name}").read_bytes()


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_without_stderr_search_training_and_errors_end_as_they_should(bundle, bert_teacher, tmp_path, stderr):
    assert "dough" in shell(f"$EP search --model {bundle.folder} {SAMPLES} 'my bread did not rise' {stderr}").stdout
    done = shell(f"$EP distill {bert_teacher} --out {tmp_path}/model --dims 4 --device cpu {stderr}")
    assert done.returncode == 0 and "8 tokens x 4 dimensions" in done.stdout
    done = shell(f"$EP encode {tmp_path}/missing.txt {stderr}")
    assert (done.returncode, done.stdout) == (1, "")
    assert shell(f"$EP encode --no-such-option {stderr}").returncode == 2


@pytest.mark.parametrize("command", [f"encode {SAMPLES}", f"search {SAMPLES} bread", "info"])
def test_a_result_that_has_nowhere_to_go_is_one_line(command):
    done = shell(f"$EP {command} >&-")
    assert done.returncode == 1
    assert done.stderr.startswith("error: stdout is closed") and done.stderr.count("\n") == 1
    assert shell(f"$EP {command} > {SAMPLES}/no").returncode == 1  # the shell's own error


def test_a_stdout_that_cannot_be_written_to_is_one_line(tmp_path):
    for line, said in (
        (f"$EP search {SAMPLES} bread 1</dev/null", "error: cannot write the result: Bad file descriptor\n"),
        (f"ulimit -f 1; $EP encode {SAMPLES} >{tmp_path}/v.jsonl", "error: cannot write the result: File too large\n"),
    ):
        for unbuffered in ("", "1"):
            done = shell(line, PYTHONUNBUFFERED=unbuffered)
            assert done.returncode == 1 and "Traceback" not in done.stderr
            assert done.stderr.endswith(said)


LONG = "d" * 300
ODD_COMMANDS = [
    "encode {} --out v.npy",
    "encode in.txt --out {}.npy",
    "encode in.txt --out {}.parquet",
    "encode in.txt --model {} --out v.npy",
    "search {}.csv rain",
    "info {}",
    "verify {}",
    "export {} --out b",
    "export --out {}",
    "distill {} --out m",
    "distill nothing --out m --words {}",
    "train --recipe {}.toml --out r",
    "train --teacher {} --out r",
    "train --teacher in --corpus {}.txt --out r",
    "train --teacher in --features {} --out r",
    "featurize --teacher in --corpus in.txt --out {}",
    "evaluate {} --suite suite",
    "evaluate potion-256d-minilm --suite {}",
    "evaluate potion-256d-minilm --data {}.csv",
    "evaluate potion-256d-minilm --data {}",
    "evaluate potion-256d-minilm --pairs {}.jsonl",
    "benchmark {} --quick --peers none",
    "benchmark --quick --peers none --texts {}",
    "benchmark --quick --peers none --compare {}.json",
    "benchmark --quick --peers none --scores {}.json",
    "benchmark --quick --peers none --python openvino={}",
    "benchmark --quick --peers none --providers cpu --out {}",
]


@pytest.mark.parametrize("command", ODD_COMMANDS)
@pytest.mark.parametrize("name", [LONG, f"{LONG}/{LONG}", "loop", "loop/x", "~nobody-of-that-name/x", "in.txt/x"])
def test_names_that_the_system_refuses_are_one_line(command, name, tmp_path, monkeypatch, door):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "in.txt").write_text("rain\n")
    for ending in ("", ".npy", ".parquet", ".csv", ".toml", ".txt", ".json"):
        (tmp_path / f"loop{ending}").symlink_to(f"loop{ending}")
    ended = door(*command.format(name).split())
    if (name, ended.code) == ("~nobody-of-that-name/x", 0):  # a folder of that name is as good as another
        assert (tmp_path / name).is_dir()
        return
    assert ended.code == 1 and ended.error and ended.stderr.count("error: ") == 1


def test_names_of_any_bytes_are_read_and_written(bundle, tmp_path):
    folder = tmp_path / os.fsdecode(b"odd\xff\nline")
    folder.mkdir()
    (folder / "a.csv").write_text("id,text\n1,rain\n")
    for name in OUTPUTS:
        edge_potion("encode", "--model", bundle.folder, folder / "a.csv", "--out", folder / name)
    again = json.loads(edge_potion("encode", "--model", bundle.folder, folder / "v.parquet").stdout)
    assert again["text"] == "rain"
    said = error_of("encode", "--model", bundle.folder, folder / "missing.txt")
    assert "odd\\udcff\\nline" in said


def test_memory_that_is_not_there_is_one_line(monkeypatch, door):
    from edge_potion.runtime import EdgeModel

    def out_of_memory(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 3.64 TiB")

    monkeypatch.setattr(EdgeModel, "from_pretrained", out_of_memory)
    ended = door("encode", SAMPLES)
    assert (ended.code, ended.stderr) == (1, "error: there is not enough memory Unable to allocate 3.64 TiB\n")


def test_a_bug_keeps_its_traceback(monkeypatch, door):
    from edge_potion.runtime import EdgeModel

    for bug in (RuntimeError("a bug"), ValueError("a bug"), UnicodeEncodeError("ascii", "é", 0, 1, "a bug")):
        monkeypatch.setattr(EdgeModel, "from_pretrained", lambda *_, bug=bug, **__: (_ for _ in ()).throw(bug))
        with pytest.raises(type(bug)):
            door("encode", SAMPLES)


def test_what_encode_writes_can_be_encoded_again(bundle, tmp_path):
    expected = edge_potion("encode", "--model", bundle.folder, SAMPLES).stdout
    (tmp_path / "stdout.jsonl").write_text(expected, encoding="utf-8")
    for name in ("v.parquet", "v.jsonl"):
        edge_potion("encode", "--model", bundle.folder, SAMPLES, "--out", tmp_path / name)
    for name in ("stdout.jsonl", "v.jsonl", "v.parquet"):
        assert edge_potion("encode", "--model", bundle.folder, tmp_path / name).stdout == expected


def test_records_are_read_by_column_in_encode_search_and_distill(bundle, bert_teacher, tmp_path):
    (tmp_path / "a.csv").write_text('id,body\n1,"rain, snow\nand wind"\n2,cheese\n')
    (tmp_path / "b.jsonl").write_text('{"body": "cheese"}\n{"body": "rain"}\n')
    said = error_of("encode", "--model", bundle.folder, tmp_path / "a.csv")
    assert "no column 'text'; there are id, body: name one with --text-column" in said
    found = edge_potion("search", "--model", bundle.folder, tmp_path / "a.csv", "wet", "--text-column", "body").stdout
    assert "\t1\train, snow and wind\t" in found.splitlines()[0] and len(found.splitlines()) == 2
    rows = edge_potion("encode", "--model", bundle.folder, tmp_path / "b.jsonl", "--text-column", "body").stdout
    assert [json.loads(row)["text"] for row in rows.splitlines()] == ["cheese", "rain"]
    (tmp_path / "words.csv").write_text("text\ndogs\ncats\n")
    done = edge_potion("distill", bert_teacher, "--out", tmp_path / "m", "--dims", 4, "--words", tmp_path / "words.csv")
    assert "10 tokens" in done.stdout
    assert "a .json file has no text a line" in error_of("encode", tmp_path / "x.json")


@pytest.mark.parametrize("query", ["🙂", "", "   ", "ไทย", "\u200b"])
def test_a_query_of_which_nothing_is_known_is_said_and_gets_no_answer(tmp_path, query):
    (tmp_path / "notes.txt").write_text("rain and snow\n\ncheese\n")
    done = edge_potion("search", tmp_path / "notes.txt", query)
    assert done.stdout == ""
    assert done.stderr.count("no token of the query") == 1


def test_lines_of_which_nothing_is_known_are_never_hits_and_are_counted(tmp_path):
    (tmp_path / "notes.txt").write_text("🙂\n\nthe tax office\n🙂 rain\n\n")
    done = edge_potion("search", tmp_path / "notes.txt", "heavy rain")
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["4", "3"]
    assert "3 of 5 lines have no token that the model knows" in done.stderr
    done = edge_potion("encode", tmp_path / "notes.txt", "--truncate-dim", 8)
    assert "3 of 5 texts have no token that the model knows" in done.stderr
    assert sum(not any(json.loads(line)["vector"]) for line in done.stdout.splitlines()) == 3
    assert "warning" not in edge_potion("encode", SAMPLES, "--out", tmp_path / "v.npy").stderr


def test_another_script_is_warned_of_once_by_a_model_of_english(bundle, tmp_path):
    (tmp_path / "ru.txt").write_text("дождь и снег\nсыр\n" * 50, encoding="utf-8")
    (tmp_path / "fr.txt").write_text("déjà vu à l'été\nnaïve 🙂 œuvre\n" * 50, encoding="utf-8")
    for words in (
        ("encode", tmp_path / "ru.txt", "--out", tmp_path / "v.npy"),
        ("search", tmp_path / "ru.txt", "дождь"),
    ):
        assert edge_potion(*words).stderr.count("is a model of English") == 1
    assert edge_potion("search", tmp_path / "ru.txt", "rain").stderr.count("is a model of English") == 1
    assert "English" not in edge_potion("search", tmp_path / "fr.txt", "déjà").stderr
    assert "English" not in edge_potion("search", "--model", bundle.folder, tmp_path / "ru.txt", "дождь").stderr


def test_search_finds_what_all_vectors_at_once_would_find(bundle, tmp_path):
    texts = [f"line {number % 977} about {'rain' if number % 3 else 'cheese'}" for number in range(20_000)]
    (tmp_path / "lines.txt").write_text("\n".join(texts))
    model = EdgeModel.from_pretrained(bundle.folder)
    scores = model.similarity("the rain", texts).astype(np.float64).round(6)
    expected = np.argsort(-scores, kind="stable")[:300] + 1  # lines that are the same, in their order
    found = edge_potion(
        "search", "--model", bundle.folder, tmp_path / "lines.txt", "the rain", "--top", 300, "--mode", "meaning"
    ).stdout
    assert [int(line.split("\t")[1]) for line in found.splitlines()] == expected.tolist()


def test_search_holds_no_more_than_its_best_lines(tmp_path):
    (tmp_path / "lines.txt").write_text("rain\n\n" * 200_000)
    script = """
from pathlib import Path
from edge_potion.cli import main
try:
    main()
finally:
    print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line))
"""
    command = [sys.executable, "-c", script, "search", tmp_path / "lines.txt", "snow", "--top", "3"]
    *found, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[1] for line in found] == ["1", "3", "5"]
    assert int(peak) < 300_000  # kB


def test_encode_takes_a_pipe_and_no_folder(bundle, tmp_path):
    done = shell(f"$EP encode --model {bundle.folder} <(printf 'rain\nsnow\n') --out {tmp_path}/v.npy")
    assert "2 x 256 float32" in done.stdout
    assert np.load(tmp_path / "v.npy").shape == (2, 256)
    assert "Is a directory" in error_of("encode", "--model", bundle.folder, tmp_path)
    assert edge_potion("encode", "--model", bundle.folder, "/dev/null").stdout == ""
    assert edge_potion("search", "--model", bundle.folder, "/dev/null", "rain").stdout == ""


def test_a_model_is_never_exported_over_itself(hand_folder):
    before = (hand_folder / "model.safetensors").read_bytes()
    assert "is a model, whose table would be replaced" in error_of("export", hand_folder, "--out", hand_folder)
    assert (hand_folder / "model.safetensors").read_bytes() == before


def test_texts_are_utf8_whatever_the_console_says(bundle):
    done = shell(f"printf 'naïve 日本\\n' | $EP encode --model {bundle.folder} -", PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout)["text"] == "naïve 日本"


def test_a_byte_order_mark_is_no_text(bundle):
    assert json.loads(edge_potion("encode", "--model", bundle.folder, stdin="\ufeffcat\n").stdout)["text"] == "cat"


def test_a_command_that_is_terminated_leaves_nothing(bundle, tmp_path):
    (tmp_path / "texts.txt").write_text("some words to embed\n" * 4_000_000)
    line = f"timeout -s TERM 4 $EP encode --model {bundle.folder} {tmp_path}/texts.txt --out {tmp_path}/v.npy"
    assert shell(line).returncode == 124
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["texts.txt"]


@pytest.mark.parametrize("words", [("-q", "encode"), ("encode", "-q"), ("encode", "--quiet"), ("--quiet", "encode")])
def test_quiet_leaves_errors_alone_on_stderr(words, tmp_path, door):
    (tmp_path / "ru.txt").write_text("дождь\n🙂\n", encoding="utf-8")
    loud = door("encode", tmp_path / "ru.txt")
    assert "is a model of English" in loud.stderr and "1 of 2 texts have no token" in loud.stderr
    quiet = door(*words, tmp_path / "ru.txt")
    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, loud.stdout, "")
    failed = door(*words, tmp_path / "none.txt")
    assert failed.code == 1 and failed.stderr.startswith("error: cannot read") and failed.stderr.count("\n") == 1
    assert "No such option: --outt" in door(*words, "--outt").stderr
    assert door("encode", tmp_path / "ru.txt").stderr == loud.stderr  # and the next one is heard again


def test_quiet_silences_what_other_commands_note(door, hand_folder, bert_teacher, tmp_path):
    words = ("distill", bert_teacher, "--out", tmp_path / "new", "--dims", 4, "--device", "cpu", "-q")
    assert door(*words).stderr == "" and door("recipe", "-q").stderr == "" and door("recipe").stderr != ""


def test_search_prints_json_for_programs(tmp_path, door):
    (tmp_path / "a.csv").write_text('text\n"rain, snow\nand\twind 🙂"\ncheese\n')
    rows = [json.loads(line) for line in door("search", tmp_path / "a.csv", "wet", "--json").stdout.splitlines()]
    assert [list(row) for row in rows] == [["score", "meaning", "words", "number", "text"]] * 2
    assert (rows[0]["number"], rows[0]["text"]) == (1, "rain, snow\nand\twind 🙂")
    model = EdgeModel.from_pretrained()
    assert rows[0]["meaning"] == pytest.approx(float(model.similarity("wet", rows[0]["text"])), abs=1e-5)
    assert door("search", tmp_path / "a.csv", "🙂", "--json").stdout == ""


def test_older_spellings_say_what_to_type():
    for words, told in (
        (("distill", "teacher", "out"), "--out FOLDER"),
        (("encode", SAMPLES, "--dim", "64"), "--truncate-dim N"),
        (("benchmark", "--precisions", "int8"), "--precision LIST"),
    ):
        done = edge_potion(*words, code=2)
        assert done.stdout == "" and told in done.stderr and "former" not in done.stderr.lower()


def test_libraries_show_no_bars_in_a_log(bert_teacher, tmp_path):
    done = edge_potion("distill", bert_teacher, "--out", tmp_path / "new", "--dims", 4, "--device", "cpu")
    assert "next: edge-potion export" in done.stderr and "\r" not in done.stderr and "%|" not in done.stderr


def test_a_misspelt_option_is_explained():
    done = edge_potion("encode", "--outt", "v.npy", code=2)
    assert "No such option" in done.stderr and "Traceback" not in done.stderr


def test_distill_asks_before_the_work_whether_it_can_write(tmp_path, bert_teacher, door):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years of work")
    for out in (tmp_path / "mine", bert_teacher):
        assert "holds something else than a static model" in door("distill", bert_teacher, "--out", out).error
    missing = ("--words", tmp_path / "missing")
    assert "cannot read" in door("distill", bert_teacher, "--out", tmp_path / "out", *missing).error


@pytest.mark.parametrize("quantize", [",", " , "])
def test_an_empty_list_is_an_error(hand_folder, quantize, door):
    assert "names nothing" in door("export", hand_folder, "--quantize", quantize).error


def test_distill_writes_a_model_that_exports(bert_teacher, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("dogs\ncats\n", encoding="utf-8")
    done = edge_potion(
        "distill", bert_teacher, "--out", tmp_path / "model", "--dims", 4, "--words", words, "--device", "cpu"
    )
    assert "10 tokens x 4 dimensions" in done.stdout
    assert "next: edge-potion export" in done.stderr
    edge_potion("export", tmp_path / "model", "--out", tmp_path / "bundle")
    assert "teacher: " in edge_potion("info", tmp_path / "bundle").stdout
