"""A stranger's words in what export writes and prints: escaped for where they go."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_potion import StaticModel, export
from edge_potion.escaping import markdown, terminal
from edge_potion.exporters.card import model_name, without_folders
from edge_potion.static_model import Card

NASTY = (
    "evil\x1b[2J\x1b]0;title\x07\r\n| `x` <script>alert(1)</script> **b** [l](javascript:x) $a$ "
    "\u202egnp.exe\u2066\u0085\u2028 & \x00"
)
SHOWN = "\x1b\r\x07\u202e\u2066\u0085\u2028\x00"  # what must reach neither a screen nor a card


def test_markdown_is_one_line_of_plain_words():
    assert markdown("a|b") == "a\\|b"
    assert markdown("<b>&amp;") == "&lt;b&gt;&amp;amp;"
    assert markdown("`*_[]\\$") == "\\`\\*\\_\\[\\]\\\\\\$"
    assert markdown("one\r\n\ttwo\x00\u2028three\u202e") == "one two three"
    assert markdown("日本 café 👩‍👩‍👧") == "日本 café 👩‍👩‍👧"
    assert markdown(7) == "7"


def test_a_terminal_is_shown_what_would_command_it():
    assert terminal("\x1b[31mred\x1b[0m\n") == "\\x1b[31mred\\x1b[0m\\n"
    assert terminal("a\u202eb\u2066c\u2028d\x85") == "a\\u202eb\\u2066c\\u2028d\\x85"
    assert terminal("\ud800") == "\\ud800"
    assert terminal("日本 café | <b> 👩‍👩‍👧") == "日本 café | <b> 👩‍👩‍👧"


@pytest.fixture
def hostile(hand_model) -> StaticModel:
    """As from a folder of a stranger: every word that it may tell of itself is nasty."""
    origin = dict.fromkeys(
        ("teacher", "teacher_revision", "recipe_fingerprint", "licence", "trained_on", "limits"), NASTY
    )
    config = {"tokenizer_name": NASTY, "edge_potion": {**origin, "scores": {"8": {NASTY: NASTY}}}}
    readme = (
        f"---\nbase_model: {json.dumps(NASTY)}\ntags: [{json.dumps(NASTY)}]\n{json.dumps(NASTY)}: x\n---\n# {NASTY}\n"
    )
    return replace(hand_model, card=replace(hand_model.card, name=NASTY, config=config, readme=readme))


def test_the_card_and_the_terminal_show_a_strangers_words_and_obey_none(hostile, tmp_path):
    folder = hostile.save_pretrained(tmp_path / "model")
    command = [sys.executable, "-m", "edge_potion"]
    words = ["export", folder, "--out", tmp_path / "out", "--mobile", "--max-tokens", "4", "--quantize", "int8,none"]
    done = subprocess.run([*command, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    told = [done.stdout.decode()]
    told += [subprocess.run([*command, "info", tmp_path / "out"], capture_output=True, check=True).stdout.decode()]
    told += [subprocess.run([*command, "verify", tmp_path / "out"], capture_output=True, check=True).stdout.decode()]
    assert "teacher: " in told[1] and "\\x1b[2J" in told[1]
    for text in told:
        assert not set(SHOWN) & set(text)
    for file in ("README.md", "mobile/README.md"):
        text = (tmp_path / "out" / file).read_text(encoding="utf-8")
        *_, page = text.split("---\n", 2) if text.startswith("---") else ("", "", text)
        assert not set(SHOWN) & set(text)
        assert "<script>" not in page and "[l](" not in page and "**b**" not in page and "`x`" not in page
    assert "distilled from" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *[(path, "mini") for path in ("/srv/me/run/mini", "C:\\models\\mini", "~/mini/", "../a/mini", "a/b/mini")],
        *[(name, name) for name in ("org/mini", "mini", "")],
    ],
)
def test_of_a_path_the_last_part_is_a_name_and_a_hub_id_stays(path, name):
    assert without_folders(path) == name


@pytest.mark.parametrize(
    ("card", "name"),
    [
        (Card("folder", readme="---\nmodel_name: org/meta\n---\n\n# Heading of its own\ntext"), "Heading of its own"),
        (Card("folder", readme="---\nmodel_name: org/meta\n---\ntext\n```\n# no heading\n```"), "meta"),
        (
            Card("folder", readme="---\nmodel_name: model\n---\n# model\n", config={"tokenizer_name": "org/mini"}),
            "mini",
        ),
        (Card("folder", config={"tokenizer_name": "/srv/x/mini"}), "mini"),
        (Card("folder", config={"tokenizer_name": 7}), "static-embedding-model"),
        (Card("folder"), "static-embedding-model"),
    ],
)
def test_a_model_is_called_by_what_it_says_and_not_by_its_folder(card, name):
    assert model_name(card, has_own_name=False) == name


def test_a_model_without_words_has_the_name_that_it_was_given():
    assert model_name(Card("mine"), has_own_name=True) == "mine"
    assert model_name(Card("org/mine"), has_own_name=True) == "mine"


@pytest.mark.parametrize("layout", ["ours", pytest.param("sentence-transformers", marks=pytest.mark.slow)])
def test_two_exports_from_two_folders_are_the_same_to_the_last_byte(layout, hand_model, tmp_path):
    teacher = {"edge_potion": {"teacher": "/srv/somebody/teachers/mini", "teacher_revision": ""}}
    made = []
    for name in ("one", "a-name-of-another-length"):
        model = replace(hand_model, card=replace(hand_model.card, config=teacher if layout == "ours" else {}))
        folder = Path(model.save_pretrained(tmp_path / name / f"model-{name}"))
        if layout == "sentence-transformers":
            for file in ("config.json", "README.md"):
                (folder / file).unlink(missing_ok=True)
            from safetensors.numpy import load_file, save_file

            table = load_file(folder / "model.safetensors")["embeddings"]
            save_file({"embedding.weight": table}, folder / "model.safetensors")
        # In a process each, for what is kept in a hash table is in another order there.
        command = [sys.executable, "-m", "edge_potion", "export", folder, "--out", tmp_path / name / f"out-{name}"]
        subprocess.run([*command, "--quantize", "int8,float16,none", "--mobile"], capture_output=True, check=True)
        out = tmp_path / name / f"out-{name}"
        made.append({file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()})
    one, other = made
    assert sorted(one) == sorted(other) and len(one) > 30
    assert [name for name in one if one[name] != other[name]] == []
    for name, content in one.items():
        for word in (str(tmp_path), "model-one", "out-one", "/tmp/", "/srv/somebody", "/home/", str(Path.home()) + "/"):
            assert word.encode() not in content, (name, word)


# What is lost is said.


def said_by_export(folder: Path, out: Path, *options: str) -> str:
    command = [sys.executable, "-m", "edge_potion", "export", folder, "--out", out, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("other_tokenizer", ["byte-level bpe", "bpe"], indirect=True)
def test_a_text_graph_that_is_left_out_is_said_in_the_output_and_in_the_card(other_tokenizer, tmp_path):
    import numpy as np

    table = np.random.default_rng(5).standard_normal((other_tokenizer.get_vocab_size(), 8)).astype(np.float32)
    folder = StaticModel(table, other_tokenizer, Card("other")).save_pretrained(tmp_path / "model")
    out = tmp_path / "out"
    (line,) = [line for line in said_by_export(folder, out).splitlines() if line.startswith("note: ")]
    assert "without the graph that starts from text: " in line
    assert "\n* Without the graph that starts from text: " in (out / "README.md").read_text(encoding="utf-8")
    (remark,) = export(folder, tmp_path / "again").remarks
    assert line == f"note: {remark}"
    assert export(folder, tmp_path / "bag", graphs=["bag"]).remarks == ()  # nobody asked for one


@pytest.mark.parametrize(
    ("held", "asked", "told"),
    [
        ("int8", "none", "the graphs at float32 hold the values of an int8 table"),
        ("int8", "int8,float16,none", "the graphs at float16 and float32 hold the values of an int8 table"),
        ("float16", "none,int8", "the graphs at float32 hold the values of a float16 table"),
        ("int8", "int8", None),
        ("float16", "float16,int8", None),
        ("float32", "none,float16,int8", None),
    ],
)
def test_a_graph_finer_than_its_table_is_said_to_hold_rounded_values(held, asked, told, hand_model, tmp_path):
    folder = export(hand_model, tmp_path / "model", quantize=held, graphs="bag").folder
    said = said_by_export(folder, tmp_path / "out", "--quantize", asked, "--graphs", "bag")
    notes = [line for line in said.splitlines() if line.startswith("note: ")]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert len(notes) == (told is not None)
    if told:
        assert told in notes[0] and told[1:] in card
    else:
        assert "rounded" not in card
