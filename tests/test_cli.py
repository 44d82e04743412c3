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
    assert "distil a sentence-transformer, export it to ONNX" in " ".join(edge_potion("--help").stdout.split())
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
    done = edge_potion("encode", "--model", bundle.folder, "-", "--dim", 64, stdin="ein Haus\n\n日本\n")
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
        "search", "--model", bundle.folder, SAMPLES, "my bread did not rise", "--top", 3
    ).stdout.splitlines()
    score, line, text = first.split("\t")
    assert "dough" in text and float(score) > 0.4
    assert Path(SAMPLES).read_text(encoding="utf-8").splitlines()[int(line) - 1] == text
    assert len(rest) == 2


def test_errors_are_one_line(bundle, hand_folder, tmp_path):
    (tmp_path / "latin1.txt").write_bytes(b"fine\ncaf\xe9\n")
    assert "is no folder here, and the model hub" in error_of("export", "nobody-here/nothing")
    assert "no precision 'int4'" in error_of("export", hand_folder, "--quantize", "int4")
    assert "provider 'cuda' is not offered" in error_of(
        "encode", "--model", bundle.folder, SAMPLES, "--provider", "cuda"
    )
    assert "latin1.txt, line 2: byte 3 is not UTF-8" in error_of(
        "encode", "--model", bundle.folder, tmp_path / "latin1.txt"
    )
    assert "cannot read" in error_of("encode", "--model", bundle.folder, tmp_path / "missing.txt")
    assert "must end in .npy, .parquet, .jsonl" in error_of(
        "encode", "--model", bundle.folder, SAMPLES, "--out", "v.csv"
    )
    assert "cannot write" in error_of("encode", "--model", bundle.folder, SAMPLES, "--out", tmp_path / "no" / "v.npy")
    assert "dim is 999" in error_of("encode", "--model", bundle.folder, SAMPLES, "--dim", 999)
    assert "no such folder" in error_of("distill", tmp_path / "missing", tmp_path / "out")


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


def test_a_misspelt_option_is_explained():
    done = edge_potion("encode", "--outt", "v.npy", code=2)
    assert "No such option" in done.stderr and "Traceback" not in done.stderr


def test_distill_asks_before_the_work_whether_it_can_write(tmp_path, bert_teacher):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years of work")
    said = error_of("distill", bert_teacher, tmp_path / "mine")
    assert "holds something else than a static model" in said
    assert "holds something else than a static model" in error_of("distill", bert_teacher, bert_teacher)
    assert "cannot read" in error_of("distill", bert_teacher, tmp_path / "out", "--words", tmp_path / "missing")


@pytest.mark.parametrize("quantize", [",", " , "])
def test_an_empty_list_is_an_error(hand_folder, quantize):
    assert "names nothing" in error_of("export", hand_folder, "--quantize", quantize)


def test_distill_writes_a_model_that_exports(bert_teacher, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("dogs\ncats\n", encoding="utf-8")
    done = edge_potion("distill", bert_teacher, tmp_path / "model", "--dims", 4, "--words", words, "--device", "cpu")
    assert "10 tokens x 4 dimensions" in done.stdout
    assert "next: edge-potion export" in done.stderr
    edge_potion("export", tmp_path / "model", "--out", tmp_path / "bundle")
    assert "teacher: " in edge_potion("info", tmp_path / "bundle").stdout
