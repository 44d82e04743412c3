"""What cards call a teacher: its hub id, its folder where that says something, its card; never a path of the maker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from edge_potion import distill
from edge_potion.trainer.card import distilled_card
from edge_potion.trainer.recipe import DistillRecipe
from edge_potion.trainer.teacher_name import short_name, teacher_name

MINE = '---\nmodel-index:\n- name: my-tuned-bert\n---\n# Some words about it\n\n`SentenceTransformer("{}")`'


def folder_of(tmp_path: Path, name: str, card: str = "", **config: str) -> Path:
    folder = tmp_path / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "card", "config", "wanted"),
    [
        ("all-MiniLM-L6-v2", "# another-name\n", {}, "all-MiniLM-L6-v2"),
        ("small-bert", "", {"_name_or_path": "x/y"}, "small-bert"),
        ("model", "# all-MiniLM-L6-v2\nwords\n", {}, "all-MiniLM-L6-v2"),
        ("model", "SentenceTransformer('sentence-transformers/all-x')", {}, "sentence-transformers/all-x"),
        ("checkpoint-500", MINE.format("sentence_transformers_model_id"), {}, "my-tuned-bert"),
        ("output", MINE.format("me/other"), {}, "me/other"),
        ("0_Transformer", "", {"_name_or_path": "nreimers/MiniLM-L6-H384-uncased"}, "nreimers/MiniLM-L6-H384-uncased"),
        ("tmpab12cd_3", "", {"_name_or_path": "/srv/jane/secret/model", "model_type": "bert"}, "unnamed-bert"),
        ("model", "# ![](http://x) <b>title</b>\n", {"_name_or_path": "./model", "model_type": "bert"}, "unnamed-bert"),
        ("models--BAAI--bge-small-en-v1.5/snapshots/5c38ec7c405ec4b4", "", {}, "BAAI/bge-small-en-v1.5"),
        ("model", "---\n: : [broken\n---\n# fine-name\n", {"model_type": "bert"}, "unnamed-bert"),
    ],
)
def test_a_folder_is_called_what_says_most(tmp_path, name, card, config, wanted):
    folder = folder_of(tmp_path, name, card, **config)
    assert teacher_name(folder, folder) == wanted
    assert teacher_name(f"{folder}/", folder) == wanted


def test_a_hub_id_stays_what_it_is(tmp_path):
    assert teacher_name("BAAI/bge-base-en-v1.5", tmp_path) == "BAAI/bge-base-en-v1.5"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("BAAI/bge", "bge"), ("a b](x)", "a-b-x"), ('"; import os', "import-os"), ("日本", "teacher"), ("x.y_z", "x.y_z")],
)
def test_names_of_models_have_the_characters_of_the_hub(name, wanted):
    assert short_name(name) == wanted


def test_a_strangers_words_are_plain_words_in_a_card():
    bad = "x](http://evil) | <script> `rm`\n# title"
    page = distilled_card("name-4d", bad, "mit\nbase_model: evil", (5, 4))
    header = yaml.safe_load(page.split("---\n")[1])
    assert header["base_model"] == bad and header["license"] == "mit\nbase_model: evil"
    body = page.split("---\n", 2)[2]
    assert "<script>" not in body and "x](" not in body and "\n# title" not in body and "`rm`" not in body


def test_a_teacher_in_a_folder_called_model_is_named_by_its_card(bert_teacher, tmp_path):
    folder = Path(shutil.copytree(bert_teacher, tmp_path / "model"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# tiny-bert-v1\n")
    model = distill(folder, DistillRecipe(dims=4, vocabulary_size=None), device="cpu")
    assert model.card.name == "tiny-bert-v1-4d" and 'from_pretrained("tiny-bert-v1-4d")' in model.card.readme
    assert "base_model: tiny-bert-v1\n" in model.card.readme and str(tmp_path) not in json.dumps(model.card.config)
    (folder / "README.md").unlink()
    unnamed = distill(folder, DistillRecipe(dims=4, vocabulary_size=None), device="cpu").card
    assert unnamed.name == "unnamed-bert-4d" and "base_model" not in unnamed.readme
