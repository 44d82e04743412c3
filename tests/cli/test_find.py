"""The commands index and search."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from edge_potion import EdgeModel

LINES = ["rain and snow", "a loaf of bread", "error E1234", "", "🙂", "the tax office", "how to bake a cake"]


@pytest.fixture
def notes(tmp_path, door):
    (tmp_path / "notes.txt").write_text("\n".join(LINES), encoding="utf-8")
    ended = door("index", tmp_path / "notes.txt", "--out", tmp_path / "index")
    assert ended.code == 0 and "6 texts" in ended.stderr
    return tmp_path / "index"


def found(ended):
    assert ended.code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_an_index_and_its_file_find_the_same(notes, door):
    for query in ("bread", "E1234", "a storm"):
        ours = found(door("search", notes, query, "--json", "--top", 3))
        theirs = found(door("search", notes.parent / "notes.txt", query, "--json", "--top", 3))
        assert [row["text"] for row in ours] == [row["text"] for row in theirs]
        assert [row["where"] for row in ours] == [f"{notes.parent / 'notes.txt'}:{row['number']}" for row in theirs]
        for row, other in zip(ours, theirs, strict=True):
            assert row["words"] == pytest.approx(other["words"], abs=1e-5)
            assert row["meaning"] == pytest.approx(other["meaning"], abs=5e-3)  # int8 there, float32 here


def test_modes_are_ordered_by_what_they_are_called_after(notes, door):
    for place in (notes, notes.parent / "notes.txt"):
        by_words = found(door("search", place, "bread E1234", "--json", "--mode", "words"))
        assert {row["text"] for row in by_words} == {"a loaf of bread", "error E1234"}
        by_meaning = found(door("search", place, "fresh bread from a bakery", "--json", "--mode", "meaning"))
        assert [row["text"] for row in by_meaning][:1] == ["a loaf of bread"] and len(by_meaning) == 5
        assert "meaning" not in by_meaning[0]


def test_lines_show_score_place_text_and_parts_and_explain_what_each_word_did(notes, door):
    line, told = door("search", notes, "bread", "--top", 1, "--explain").stdout.splitlines()
    score, place, text, meaning, words = line.split("\t")
    assert text == "a loaf of bread" and place.endswith("notes.txt:2")
    assert told == f"\tmeaning {meaning}, bread {words}" and float(score) > 1
    shares = found(door("search", notes, "bread loaf", "--explain", "--json", "--top", 1))[0]["shares"]
    assert set(shares) == {"bread", "loaf"}


def test_texts_come_from_stdin_and_from_pipes(notes, tmp_path):
    text = "\n".join(LINES).encode()
    for script in ("search - bread --top 1", f"index - --out {tmp_path / 'piped'}"):
        done = subprocess.run(
            [sys.executable, "-m", "edge_potion", *script.split()], input=text, capture_output=True, check=True
        )
    assert b"6 texts" in done.stderr
    shell = f"{sys.executable} -m edge_potion search <(printf 'rain\\nbread\\n') bread --top 1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, check=True)
    assert done.stdout.split(b"\t")[1:3] == [b"2", b"bread"]


def test_records_keep_their_names_and_are_added_replaced_and_deleted(tmp_path, door):
    (tmp_path / "a.csv").write_text("key,body\nx,rain\ny,bread\n")
    (tmp_path / "b.jsonl").write_text('{"key": 7, "body": "cheese"}\n{"key": "x", "body": "a ship"}\n')
    index = tmp_path / "index"
    columns = ("--text-column", "body", "--id", "key")
    assert door("index", tmp_path / "a.csv", "--out", index, *columns).code == 0
    assert door("index", tmp_path / "b.jsonl", "--out", index, "--add", *columns).code == 0
    assert [(row["id"], row["where"]) for row in found(door("search", index, "cheese", "--json", "--top", 1))] == [
        ("7", f"{tmp_path / 'b.jsonl'}:1")
    ]
    assert found(door("search", index, "rain", "--json", "--mode", "words")) == []
    ended = door("index", "--out", index, "--delete", "y", "--delete", "zzz", "--compact")
    assert ended.code == 0 and "1 of 2 names are not in the index" in ended.stderr
    assert {row["id"] for row in found(door("search", index, "bread", "--json"))} == {"7", "x"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("index",), "there is nothing to index"),
        (("index", "none.txt"), "none.txt: there is no such file or folder"),
        (("index", "a.txt", "a.txt"), "is named twice"),
        (("index", "a.txt", "--id", "key"), "has no columns"),
        (("index", "a.txt", "--language", "klingon"), "no language 'klingon'"),
        (("index", "a.txt", "--add"), "index is no index"),
        (("index", "a.txt", "--add", "--chunk", "words"), "when an index is made"),
        (("index", "a.txt", "--out", "."), "holds something else than an index"),
        (("index", "twins.csv", "--id", "key"), "two texts have the id 'x'"),
        (("index", "nameless.csv", "--id", "key"), "line 3: 'key' is ''"),
        (("search", ".", "rain"), "is no index"),
        (("search", "none", "rain"), "cannot read none"),
        (("search", "a.txt", "rain", "--language", "klingon"), "no language 'klingon'"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, door, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("rain\n")
    (tmp_path / "twins.csv").write_text("key,text\nx,rain\nx,snow\n")
    (tmp_path / "nameless.csv").write_text("key,text\nx,rain\n,snow\n")
    ended = door(*words)
    assert ended.code == 1 and said in ended.error and "Traceback" not in ended.stderr


def test_what_an_index_says_itself_cannot_be_said_again(notes, door):
    for option in (("--text-column", "body"), ("--precision", "int8"), ("--language", "none"), ("--threads", 1)):
        ended = door("search", notes, "rain", *option)
        assert ended.code == 1 and option[0] in ended.error and "is an index" in ended.error


def test_vectors_of_a_teacher_where_they_mean_nothing_are_refused_by_name(notes, door, tmp_path):
    file, vectors = notes.parent / "notes.txt", tmp_path / "v.npy"
    np.save(vectors, EdgeModel.from_pretrained().encode(LINES))
    for words, said in (
        (("search", file, "rain", "--vectors", vectors), "--vectors is an option of index; here it is --index-of-tea"),
        (("index", file, "--index-of-teacher", vectors), "is an option of search; here it is --vectors FILE.npy"),
        (("search", notes, "rain", "--index-of-teacher", vectors), "for files, and .* is an index, which has its"),
        (
            ("search", file, "rain", "--index-of-teacher", vectors, "--mode", "words"),
            "which --mode words does not look",
        ),
        (("index", "--compact", "--vectors", vectors, "--out", notes), "--vectors are those of the texts of files"),
        (("encode", file, "--index-of-teacher", vectors), "No such option: --index-of-teacher"),
    ):
        ended = door(*words)
        assert ended.code and re.search(said, ended.stderr), ended.stderr
    both = door("search", file, "rain", "--index-of-teacher", vectors, "--vectors", vectors)
    assert both.code == 2 and "--vectors is an option of index" in both.stderr


def test_an_approximate_index_is_one_from_its_making_or_from_a_compaction_on(notes, door):
    pytest.importorskip("usearch")

    def says() -> bool:
        return json.loads((notes / "index.json").read_text())["approximate"]

    refused = door("index", notes.parent / "notes.txt", "--out", notes, "--add", "--approximate")
    assert refused.code == 1 and "--approximate is said when an index is made, or with --compact" in refused.stderr
    assert not says()
    assert door("index", "--compact", "--approximate", "--out", notes).code == 0 and says()
    assert door("index", "--compact", "--out", notes).code == 0 and says(), "it is remembered"
    assert door("index", notes.parent / "notes.txt", "--out", notes).code == 0 and not says()
    assert door("index", notes.parent / "notes.txt", "--approximate", "--out", notes).code == 0 and says()
    assert [hit["text"] for hit in found(door("search", notes, "bread", "--json", "--top", 1))] == [LINES[1]]


def test_what_the_page_shows_is_what_the_sample_texts_give(tmp_path, door, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    shown = next(line for line in page.splitlines() if "\tnotes.txt:" in line)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_bytes(files("edge_potion").joinpath("samples/sentences.txt").read_bytes())
    assert door("index", "notes.txt", "--out", "my-index").code == 0
    ended = door("search", "my-index", "my bread did not rise", "--top", 1)
    assert ended.stdout.rstrip("\n") == shown


def test_texts_are_found_by_vectors_that_a_teacher_gave(notes, door):
    """The query alone is the model's: of a file in one pass, and of an index that was made from the vectors."""
    model = EdgeModel.from_pretrained()
    vectors = model.encode(LINES)
    vectors[1], vectors[6] = vectors[6].copy(), vectors[1].copy()  # so that whose vectors are taken can be told
    folder, file = notes.parent, notes.parent / "notes.txt"
    np.save(folder / "teacher.npy", vectors)
    made = door("index", file, "--vectors", folder / "teacher.npy", "--out", folder / "theirs")
    assert made.code == 0 and "6 texts" in made.stderr
    passed = found(door("search", file, "a loaf", "--index-of-teacher", folder / "teacher.npy", "--json"))
    indexed = found(door("search", folder / "theirs", "a loaf", "--json"))
    assert [row["text"] for row in passed] == [row["text"] for row in indexed]
    by_meaning = ("search", file, "a loaf of bread", "--mode", "meaning", "--top", 1, "--json")
    assert found(door(*by_meaning))[0]["text"] == "a loaf of bread"
    assert found(door(*by_meaning, "--index-of-teacher", folder / "teacher.npy"))[0]["text"] == "how to bake a cake"
    np.save(folder / "short.npy", vectors[:3])
    for script in (
        ("search", file, "x", "--index-of-teacher", folder / "short.npy"),
        ("index", file, "--vectors", folder / "short.npy", "--out", folder / "none"),
        ("search", notes, "x", "--index-of-teacher", folder / "teacher.npy"),
        ("index", "--vectors", folder / "teacher.npy", "--compact", "--out", notes),
    ):
        ended = door(*script)
        assert ended.code == 1 and ended.stderr.count("\n") == 1, ended.stderr
