"""`edge-potion prune`, as a user types it."""

from __future__ import annotations

import json

import pytest

from .test_cli import edge_potion, error_of


@pytest.fixture
def corpus(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("the cat sat\nthe dog\n", encoding="utf-8")
    return file


def test_a_table_tells_what_became_of_model_and_texts(door, hand_folder, corpus, tmp_path):
    (tmp_path / "other.txt").write_text("the mat\ncats ran\n", encoding="utf-8")
    out = tmp_path / "small"
    done = door("prune", hand_folder, "--corpus", corpus, "--held-out", tmp_path / "other.txt", "--out", out)
    lines = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()}
    assert done.code == 0 and lines["pieces"][0] == "32" and int(lines["pieces"][1]) < 20
    assert lines["texts"] == ["2", "2"] and lines["cut otherwise"] == ["0", "2"]
    assert lines["whose piece stays"][0] == "100.000%" and lines["unknown now"][0] == "0"
    assert "held out: 'the mat'\n  was mat\n  is  " in done.stdout
    assert f"next: edge-potion export {out} --quantize int8" in done.stderr
    assert json.loads((out / "config.json").read_text())["edge_potion"]["pruned"]["pieces"] == int(lines["pieces"][1])


def test_json_tells_the_same(hand_folder, tmp_path):
    done = edge_potion(
        "prune", hand_folder, "--corpus", "-", "--rows", 20, "--out", tmp_path / "small", "--json", stdin="the cat\n"
    )
    found = json.loads(done.stdout)
    assert found["after"]["pieces"] <= 20 < found["before"]["pieces"] == 32 and found["folder"] == str(
        tmp_path / "small"
    )
    assert (found["corpus"]["texts"], found["corpus"]["coverage"], found["held_out"]) == (1, 1.0, None)


def test_what_is_wrong_is_one_line(hand_folder, corpus, tmp_path):
    out = tmp_path / "small"
    said = error_of("prune", hand_folder, "--corpus", tmp_path / "none.txt", "--out", out)
    assert "none.txt: there is no such file or folder" in said
    said = error_of("prune", hand_folder, "--corpus", corpus, "--out", out, "--rows", 20, "--keep-share", 0.9)
    assert "give one of them" in said
    assert "--corpus" in edge_potion("prune", hand_folder, "--out", out, code=2).stderr
    assert not out.exists()
