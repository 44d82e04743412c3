"""The corpus: every kind of file, filters that count, and a sample that depends on the seed alone."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from edge_potion import InputError
from edge_potion.trainer.corpus import sample_corpus
from edge_potion.trainer.recipe import CorpusRecipe
from edge_potion.trainer.recipe_file import load_recipe
from edge_potion.trainer.sources import Given, find_sources

ALL = CorpusRecipe(min_characters=1)
TEXTS = ["First sentence here.", "Second one, naïve.", "日本語の文です。"]


def sampled(recipe: CorpusRecipe, tmp_path: Path, *files: Path) -> list[str]:
    sample_corpus(recipe, tmp_path / "out.txt", files)
    return (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".zst"])
@pytest.mark.parametrize("kind", [".txt", ".jsonl"])
def test_text_and_jsonl_files_compressed_or_not(tmp_path, kind, ending):
    lines = TEXTS if kind == ".txt" else [json.dumps({"text": text}) for text in TEXTS]
    content = ("\n".join(lines) + "\n").encode()
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}
    (tmp_path / f"corpus{kind}{ending}").write_bytes(pack[ending](content))
    assert sorted(sampled(ALL, tmp_path, tmp_path / f"corpus{kind}{ending}")) == sorted(TEXTS)


def test_parquet_files(tmp_path):
    pq.write_table(pa.table({"text": [*TEXTS, None], "other": [1, 2, 3, 4]}), tmp_path / "corpus.parquet")
    assert sorted(sampled(ALL, tmp_path, tmp_path / "corpus.parquet")) == sorted(TEXTS)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv", "a.jsonl.bz2", "a.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_costs_no_sentence_and_is_part_of_none(tmp_path, name, end):
    lines = {"a.jsonl": [json.dumps({"text": text}) for text in TEXTS], "a.txt": TEXTS}
    rows = lines.get(name.removesuffix(".bz2"), ["text", *(f'"{text}"' for text in TEXTS)])
    content = "".join(row + end for row in rows).encode("utf-8-sig")
    pack = {".gz": gzip.compress, ".bz2": bz2.compress}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(pack(content))
    report = sample_corpus(ALL, tmp_path / "out.txt", [tmp_path / name])
    assert sorted((tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()) == sorted(TEXTS)
    assert not report.skipped


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_no_frame_of_a_packed_corpus_is_lost(tmp_path, ending):
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[ending]
    (tmp_path / f"a.txt{ending}").write_bytes(b"".join(pack(f"{text}\n".encode()) for text in TEXTS))
    assert sorted(sampled(ALL, tmp_path, tmp_path / f"a.txt{ending}")) == sorted(TEXTS)


def test_texts_under_another_name_are_another_corpus(tmp_path, bert_teacher):
    file = tmp_path / "a.csv"
    file.write_text("text,body\nnot this.,One is here. Two is here.\n")
    report = sample_corpus(ALL, tmp_path / "out.txt", [file], column="body")
    assert report.sentences == 2 and "Two is here." in (tmp_path / "out.txt").read_text()
    recipe = load_recipe("tiny")
    one, other = (
        find_sources(recipe, Given(bert_teacher, file, text_column=column, device="cpu")) for column in ("text", "body")
    )
    assert one.corpus.fingerprint != other.corpus.fingerprint


def test_documents_are_split_into_sentences_and_lines_of_text_files_are_not(tmp_path):
    document = 'One is here. "Two is." Then three?\nA line of 3.5 kg, e.g. this.'
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": document}))
    expected = ["One is here.", '"Two is."', "Then three?", "A line of 3.5 kg, e.g. this."]
    assert sorted(sampled(ALL, tmp_path, tmp_path / "a.jsonl")) == sorted(expected)
    (tmp_path / "a.txt").write_text("One is here. Two is here.\n")
    assert sampled(ALL, tmp_path, tmp_path / "a.txt") == ["One is here. Two is here."]


def test_what_is_left_out_is_counted_by_reason(tmp_path):
    lines = [b"long enough", b"short", b"x" * 30, b"long enough", b"caf\xe9 au lait", b"another one", b""]
    (tmp_path / "a.txt").write_bytes(b"\n".join(lines))
    (tmp_path / "b.jsonl").write_text('{"text": 5}\n[]\nno json\n{"text": "lone \\ud800 surrogate"}\n')
    recipe = CorpusRecipe(min_characters=8, max_characters=25)
    report = sample_corpus(recipe, tmp_path / "out.txt", [tmp_path / "a.txt", tmp_path / "b.jsonl"])
    assert report.sentences == 2
    assert report.skipped == {
        "too short": 1,
        "too long": 1,
        "duplicate": 1,
        "not UTF-8": 2,
        "no JSON object with a text": 3,
    }


def test_the_sample_depends_on_the_seed_and_not_on_the_order(tmp_path, sentences):
    recipe = CorpusRecipe(sentences=50, min_characters=1, max_characters=1000)
    for name, lines in (("a.txt", sentences), ("b.txt", sentences[::-1] + sentences[:100])):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    first = sampled(recipe, tmp_path, tmp_path / "a.txt")
    assert len(first) == len(set(first)) == 50
    assert sampled(recipe, tmp_path, tmp_path / "b.txt") == first
    assert sampled(recipe, tmp_path, tmp_path / "a.txt", tmp_path / "b.txt") == first
    assert sampled(CorpusRecipe(sentences=50, min_characters=1, seed=1), tmp_path, tmp_path / "a.txt") != first


def test_fewer_sentences_than_asked_for_are_said(tmp_path, caplog):
    (tmp_path / "a.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    sample_corpus(ALL, tmp_path / "out.txt", [tmp_path / "a.txt"])
    assert "500000 sentences were asked for, and there are 3" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.md", b"x", r"must end in .txt, .jsonl, .* .parquet, or one of these and .gz, .bz2, .xz, .zst"),
        ("a.json", b"[]", r"a .json file has no text a line; name it .jsonl"),
        ("a.csv", b"id,body\n1,x", r"no column 'text'; there are id, body: name one with --text-column"),
        ("a.txt", b"", "no sentence of 1 to 320 characters in"),
        ("a.txt.gz", b"no gzip", "cannot read"),
        ("a.txt.xz", b"no xz", "cannot read"),
        ("a.txt.zst", b"no zst", "cannot read"),
        ("a.txt.gz", gzip.compress(b"x" * 10_000, mtime=0)[:12] + b"damaged", "cannot read"),
        ("a.txt.gz", gzip.compress(b"half\n" * 100, mtime=0)[:20], "cannot read"),
        ("a.parquet", b"no parquet", "cannot read"),
    ],
)
def test_files_that_are_no_corpus(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        sample_corpus(ALL, tmp_path / "out.txt", [tmp_path / name])
    assert not (tmp_path / "out.txt").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*missing.txt"):
        sample_corpus(ALL, tmp_path / "out.txt", [tmp_path / "missing.txt"])


def test_a_hub_set_is_streamed_by_datasets(tmp_path):
    """`datasets` itself, streaming; the set lies in a folder, as no hub is reached here."""
    (tmp_path / "set").mkdir()
    rows = [json.dumps({"text": f"Sentence {number} is here. And another, {number}."}) for number in range(100)]
    (tmp_path / "set" / "train.jsonl").write_text("\n".join(rows))
    recipe = CorpusRecipe(source=str(tmp_path / "set"), subset="", sentences=20, min_characters=1)
    report = sample_corpus(recipe, tmp_path / "out.txt")
    assert report.sentences == 20
    assert report.seen < 100  # not read to its end: C4 has none worth waiting for


def test_a_hub_set_that_cannot_be_had_is_named(tmp_path):
    script = """
import sys
from pathlib import Path
from edge_potion import InputError
from edge_potion.trainer.corpus import sample_corpus
from edge_potion.trainer.recipe import CorpusRecipe
try:
    sample_corpus(CorpusRecipe(source="nobody-here/nothing"), Path(sys.argv[1]))
except InputError as error:
    print(error)
"""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", script, tmp_path / "out.txt"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert "the hub did not give the data set 'nobody-here/nothing'" in said and "with --corpus" in said
