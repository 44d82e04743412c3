"""tokenizer.json: what it says is done, switched off, or named; what `tokenizers` cannot do is a ModelFormatError."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from edge_potion import EdgeModel, ModelFormatError, StaticModel, export
from edge_potion.static_model import Card
from edge_potion.tokens import ADDED_FIELDS, BY_CHANCE, MODEL_FIELDS, is_plain, open_tokenizer, plain, sound

MODELS = {
    "WordPiece": models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),
    "WordLevel": models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),
    "BPE": models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]),
    "Unigram": models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0, False),
}


def edited(folder: Path, **fields: object) -> Path:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **fields}), encoding="utf-8")
    return folder


@pytest.fixture
def bpe_folder(tmp_path) -> Path:
    merges = [(a, b) for a in "rst" for b in "aeno"]
    pieces = ["[UNK]", *map(chr, range(97, 123)), *(a + b for a, b in merges)]
    tokenizer = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = np.random.default_rng(0).standard_normal((len(pieces), 8)).astype(np.float32)
    return StaticModel(table, tokenizer, Card("bpe")).save_pretrained(tmp_path / "bpe")


def test_a_tokenizer_that_cuts_by_chance_does_so_no_more(bpe_folder, tmp_path):
    text = "rain snow sonata roast toner"
    wanted = StaticModel.from_pretrained(bpe_folder).encode(text)
    model = json.loads((bpe_folder / "tokenizer.json").read_text())["model"]
    edited(bpe_folder, model={**model, "dropout": 0.9})
    for _ in range(4):
        assert StaticModel.from_pretrained(bpe_folder).encode(text).tobytes() == wanted.tobytes()
    bundle = export(bpe_folder, tmp_path / "b", quantize="float32", graphs="bag")  # which holds it to the oracle
    assert json.loads((bundle.folder / "tokenizer.json").read_text())["model"]["dropout"] is None
    np.testing.assert_allclose(EdgeModel.from_pretrained(bundle.folder).encode(text), wanted, atol=1e-6)


def test_a_unigram_that_samples_does_so_no_more():
    pieces = [("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5), ("ba", -1.5), ("aba", -2.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, False))
    wanted = plain(Tokenizer.from_str(tokenizer.to_str())).encode("abababab").ids
    tokenizer.model.alpha, tokenizer.model.nbest_size = 0.1, 50
    assert not is_plain(tokenizer)
    assert all(plain(tokenizer).encode("abababab").ids == wanted for _ in range(8))


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_of_a_model_is_known(kind):
    """Those that a new version of `tokenizers` writes fail this test until someone decides."""
    written = json.loads(Tokenizer(MODELS[kind]).to_str())["model"]
    assert set(written) - {"type"} <= MODEL_FIELDS[kind]
    attributes = {name for name in dir(MODELS[kind]) if not name.startswith("_")}
    by_chance = attributes & {"dropout", "alpha", "nbest_size", "sampling", "temperature", "n_best"}
    assert by_chance <= set(BY_CHANCE)


def test_every_field_of_an_added_token_is_known(hand_tokenizer):
    assert set(json.loads(hand_tokenizer.to_str())["added_tokens"][0]) == ADDED_FIELDS


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"normalizer": {"type": "Lowercase", "locale": "tr"}}, "normalizer.locale"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase", "deep": 1}]}},
            "normalizer.normalizers.1.deep",
        ),
        ({"pre_tokenizer": {"type": "Whitespace", "keep": True}}, "pre_tokenizer.keep"),
    ],
)
def test_a_field_that_nobody_reads_is_named(hand_folder, caplog, fields, named):
    StaticModel.from_pretrained(edited(hand_folder, **fields))
    assert f"{named} means nothing to the `tokenizers` library" in caplog.text


def test_fields_of_a_model_and_of_added_tokens_that_nobody_reads_are_named(hand_folder, caplog):
    content = json.loads((hand_folder / "tokenizer.json").read_text())
    content["model"]["max_pieces"] = 3
    content["added_tokens"][0]["weight"] = 2
    StaticModel.from_pretrained(edited(hand_folder, **content))
    assert "model.max_pieces" in caplog.text and "added_tokens.weight" in caplog.text


def test_fields_of_old_versions_are_no_strangers(hand_folder, caplog):
    old = {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True}
    StaticModel.from_pretrained(edited(hand_folder, pre_tokenizer=old))
    assert not caplog.text


def test_a_top_level_field_that_is_unknown_is_refused(hand_folder):
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is no tokenizer"):
        StaticModel.from_pretrained(edited(hand_folder, vocabulary={}))


PANICS = {
    "a merge that is no piece": {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]]}},
    "a charsmap of two bytes": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAA="}},
    "a pattern that is none": {
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated", "invert": False}
    },
}


@pytest.mark.parametrize("case", PANICS)
def test_what_tokenizers_cannot_read_is_a_model_format_error(hand_folder, case):
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is no tokenizer") as told:
        StaticModel.from_pretrained(edited(hand_folder, **PANICS[case]))
    assert "\n" not in str(told.value)


def test_a_pattern_that_gives_up_on_a_text_is_a_model_format_error(hand_folder):
    pattern = {"Regex": "(a+)+$"}
    splitter = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    model = StaticModel.from_pretrained(edited(hand_folder, pre_tokenizer=splitter))
    assert model.encode("cat").any()
    for texts in (["a" * 40 + "b"], ["a cat"] * 40 + ["a" * 40 + "b"]):
        with pytest.raises(ModelFormatError, match="cannot tokenize"):
            model.encode(texts)
    assert model.encode("cat").any()  # and goes on


def test_ctrl_c_and_a_full_memory_go_through():
    for kind in (KeyboardInterrupt, SystemExit, MemoryError):
        with pytest.raises(kind), sound("nothing"):
            raise kind


def test_left_out_sections_are_those_of_a_plain_tokenizer(tmp_path, hand_tokenizer):
    content = json.loads(hand_tokenizer.to_str())
    del content["added_tokens"], content["normalizer"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    assert is_plain(open_tokenizer(tmp_path / "tokenizer.json"))
