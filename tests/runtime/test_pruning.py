"""A pruned model: its pieces, that texts are cut as before, what is told where they are not, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

from edge_potion import AccessError, EdgeModel, InputError, ModelFormatError, StaticModel, TextClassifier, export, prune
from edge_potion.decide import ByNumpy
from edge_potion.pruning.pieces import Choice, Vocabulary, chosen
from edge_potion.static_model import Card
from edge_potion.tokens import plain

from ..exporters.unigram_tokenizers import BYTES, SPECIALS, by_hand
from ..exporters.unigram_tokenizers import trained as unigram
from ..models import phrases_of

UNIGRAM = ("always", "first, whole texts in bytes", "never", "white space")
KINDS = ["wordpiece", "wordlevel", *(f"unigram, {setting}" for setting in UNIGRAM)]


def trained(kind: str, texts: Sequence[str]) -> Tokenizer:
    """A tokenizer of a kind, with some hundred pieces."""
    if not kind.startswith("unigram"):
        specials = ["[PAD]", "[UNK]", "[CLS]"]
        is_wordpiece = kind == "wordpiece"
        tokenizer = Tokenizer((models.WordPiece if is_wordpiece else models.WordLevel)(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        make = trainers.WordPieceTrainer if is_wordpiece else trainers.WordLevelTrainer
        tokenizer.train_from_iterator(texts, make(vocab_size=1500, special_tokens=specials, show_progress=False))
        return plain(tokenizer)
    return unigram(texts, kind.removeprefix("unigram, "), 1500, normalizers.NFKC())


def with_table(tokenizer: Tokenizer, dims: int = 8) -> StaticModel:
    """A model of a tokenizer, with rows drawn at random."""
    size = max(tokenizer.get_vocab().values()) + 1
    return StaticModel(
        np.random.default_rng(0).standard_normal((size, dims)).astype(np.float32), tokenizer, Card("big")
    )


def text_file(path: Path, texts: Sequence[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def cut(model: StaticModel, texts: Sequence[str]) -> list[list[str]]:
    """The pieces of each text, as strings."""
    return [each.tokens for each in model.tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def files_without_card(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in ("README.md", "config.json")}


@pytest.fixture(scope="module")
def texts(sentences) -> list[str]:
    return sentences[::3]


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def big(kind, sentences, tmp_path_factory) -> Path:
    return with_table(trained(kind, sentences)).save_pretrained(tmp_path_factory.mktemp("big") / "big")


@pytest.fixture
def corpus(texts, tmp_path) -> Path:
    return text_file(tmp_path / "corpus.txt", texts)


def test_texts_of_the_corpus_are_cut_as_before_and_have_the_same_vectors(big, corpus, texts, tmp_path):
    pruned = prune(big, corpus, tmp_path / "small")
    before, after = StaticModel.from_pretrained(big), StaticModel.from_pretrained(tmp_path / "small")
    assert cut(after, texts) == cut(before, texts)
    assert np.array_equal(after.encode(texts), before.encode(texts))
    assert pruned.corpus.changed == 0 and pruned.corpus.coverage == 1 and pruned.corpus.lowest == 1
    assert pruned.corpus.texts == len(texts) and not pruned.corpus.examples
    assert pruned.before.pieces == before.pieces > pruned.after.pieces == after.pieces


def test_nothing_stays_but_what_is_used_and_what_is_always_kept(big, kind, corpus, texts, tmp_path):
    prune(big, corpus, tmp_path / "small")
    before, after = StaticModel.from_pretrained(big), StaticModel.from_pretrained(tmp_path / "small")
    ids = before.tokenizer.encode_batch(texts, add_special_tokens=False)
    used = {before.tokenizer.id_to_token(number) for each in ids for number in each.ids}
    letters = {letter for piece in used for letter in piece.removeprefix("##")}
    had, has = set(before.tokenizer.get_vocab()), set(after.tokenizer.get_vocab())
    specials = {"[PAD]", "[UNK]", "[CLS]"} if kind.startswith("word") else set(SPECIALS)
    singles = {piece for piece in had if piece.removeprefix("##") in letters} if kind != "wordlevel" else set()
    singles |= set(BYTES) & had if kind.endswith("bytes") else set()
    rest = has - used - specials - singles
    assert used | specials | singles <= has and len(rest) <= kind.startswith("unigram")  # the least likely piece
    assert len(has) < len(had)
    for piece in has:
        rows = [each.table[each.tokenizer.token_to_id(piece)] for each in (before, after)]
        assert np.array_equal(*rows)


def test_pruning_twice_changes_nothing(big, corpus, tmp_path):
    for name, options in (("all", {}), ("rows", {"rows": 900}), ("share", {"keep_share": 1.0})):
        once, twice = tmp_path / f"{name}-1", tmp_path / f"{name}-2"
        prune(big, corpus, once, **options)
        assert prune(once, corpus, twice, **options).before.pieces == StaticModel.from_pretrained(twice).pieces
        assert files_without_card(once) == files_without_card(twice)


def test_scores_and_what_else_a_tokenizer_says_stay_as_they_were(big, kind, corpus, tmp_path):
    prune(big, corpus, tmp_path / "small")
    was, now = (json.loads((folder / "tokenizer.json").read_text("utf-8")) for folder in (big, tmp_path / "small"))
    for part in ("normalizer", "pre_tokenizer", "decoder", "truncation", "padding", "post_processor"):
        assert was[part] == now[part]
    others = set(was["model"]) - {"vocab", "unk_id"}
    assert {key: was["model"][key] for key in others} == {key: now["model"][key] for key in others}
    if kind.startswith("unigram"):
        vocabularies = [
            json.loads(StaticModel.from_pretrained(each).tokenizer.to_str())["model"]["vocab"]
            for each in (big, tmp_path / "small")
        ]
        held = dict(vocabularies[0])
        assert all(held[piece] == score for piece, score in vocabularies[1])
        assert min(held.values()) == min(score for _, score in vocabularies[1])
        assert now["model"]["vocab"][now["model"]["unk_id"]][0] == "<unk>"
    assert [token["content"] for token in now["added_tokens"]] == [token["content"] for token in was["added_tokens"]]


def test_rows_are_as_many_as_were_asked_for(big, kind, corpus, texts, sentences, tmp_path):
    if kind == "wordlevel":
        pytest.skip("its letters are no pieces, so that few words are made of them")
    other = text_file(tmp_path / "other.txt", sentences[1::3])
    all_used = prune(big, corpus, tmp_path / "all", held_out=other)
    few = prune(big, corpus, tmp_path / "few", rows=all_used.after.pieces - 100, held_out=other)
    many = prune(big, corpus, tmp_path / "many", rows=all_used.after.pieces + 5, held_out=other)
    assert few.after.pieces + 100 == all_used.after.pieces == many.after.pieces - 5
    assert few.corpus.changed > 0 == many.corpus.changed
    assert few.held_out.coverage < all_used.held_out.coverage < many.held_out.coverage <= 1


def test_rows_that_cannot_hold_what_is_always_kept_are_refused(big, corpus, tmp_path):
    with pytest.raises(InputError, match=r"rows is 2, and \d+ pieces are always kept"):
        prune(big, corpus, tmp_path / "small", rows=2)
    assert not (tmp_path / "small").exists()


def test_a_share_takes_the_most_frequent_pieces_that_make_it():
    tokenizer = plain(Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "b": 2, "c": 3, "d": 4}, "[UNK]")))
    vocabulary = Vocabulary.of(tokenizer)
    counts = np.array([100, 1, 60, 30, 9])  # [UNK] is no token that is known
    for share, kept in (
        (0.6, [0, 2]),
        (0.61, [0, 2, 3]),
        (0.9, [0, 2, 3]),
        (0.99, [0, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4]),
    ):
        assert chosen(vocabulary, counts, Choice(share)).tolist() == kept
    assert chosen(vocabulary, counts, Choice(rows=3)).tolist() == [0, 2, 3]
    assert chosen(vocabulary, np.array([0, 5, 0, 5, 0]), Choice(rows=2)).tolist() == [0, 1]  # of equals the first


def test_what_is_lost_is_counted_and_shown(big, corpus, texts, tmp_path):
    pruned = prune(big, corpus, tmp_path / "small", keep_share=0.8)
    before, after = StaticModel.from_pretrained(big), StaticModel.from_pretrained(tmp_path / "small")
    was, now = cut(before, texts), cut(after, texts)
    names = [
        ["\0" if each == before.unk_id else before.tokenizer.id_to_token(each) for each in row.ids]
        for row in before.tokenizer.encode_batch(texts, add_special_tokens=False)
    ]
    known = [piece for row in names for piece in row if piece != "\0"]
    found = pruned.corpus
    assert found.changed == sum(one != other for one, other in zip(was, now, strict=True)) > 0
    assert found.tokens == len(known) and found.unknown == sum(row.count("\0") for row in names)
    assert found.kept_tokens == sum(piece in after.tokenizer.get_vocab() for piece in known)
    assert 0.8 <= found.coverage < 1
    ours, theirs = before.encode(texts), after.encode(texts)
    cosines = (ours * theirs).sum(axis=1)[ours.any(axis=1)]
    assert found.lowest == pytest.approx(cosines.min(), abs=1e-5) and found.lowest <= found.agreement < 1
    for example in found.examples:
        assert example.before != example.after and any(text.startswith(example.text) for text in texts)
    assert len(found.examples) == 2


def test_unknown_characters_cost_what_they_did(tmp_path):
    """The least score of all pieces says what an unknown character costs, and is that of a piece that is not used."""
    tokenizer = by_hand({"▁a": -1.0, "b": -2.0, "▁": -3.0, "zz": -30.0, "a": -2.0, "▁a?b": -41.5, "yy": -30.0})
    folder = with_table(tokenizer).save_pretrained(tmp_path / "big")
    texts = ["a?b", "ab", "a"]
    before = StaticModel.from_pretrained(folder)
    assert cut(before, texts)[0] == ["▁a?b"]
    assert prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small").corpus.changed == 0
    after = StaticModel.from_pretrained(tmp_path / "small")
    assert cut(after, texts) == cut(before, texts) and "zz" not in after.tokenizer.get_vocab()
    texts = ["ab", "a?b"][:1]
    prune(folder, text_file(tmp_path / "fewer.txt", texts), tmp_path / "smaller")
    least = json.loads(StaticModel.from_pretrained(tmp_path / "smaller").tokenizer.to_str())["model"]["vocab"]
    assert min(score for _, score in least) == -41.5


def test_a_unigram_model_whose_unknown_piece_is_a_sign_is_cut_as_before(tmp_path):
    """ "." is what is unknown, so that it fuses with unknown neighbours; two of them are a piece again."""
    pieces = {"<pad>": 0.0, "▁a": -1.0, ".": -2.0, "..": -9.0, "b": -3.0, "▁": -4.0, "a": -5.0, "▁c": -6.0}
    folder = with_table(by_hand(pieces, unknown=3)).save_pretrained(tmp_path / "big")
    texts = ["a. b", "a..", "a.?. b", "?", "..."]
    assert prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small").corpus.changed == 0
    before, after = StaticModel.from_pretrained(folder), StaticModel.from_pretrained(tmp_path / "small")
    assert cut(before, texts) == cut(after, texts) and "▁c" not in after.tokenizer.get_vocab()
    assert after.tokenizer.id_to_token(after.unk_id) == "." and np.array_equal(
        before.encode(texts), after.encode(texts)
    )


def test_of_equal_pieces_the_one_that_is_given_stays(tmp_path):
    pieces = [("<unk>", 0.0), ("▁a", -5.0), ("▁a", -1.0), ("b", -2.0), ("b", -2.5), ("c", -9.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    folder = with_table(plain(tokenizer)).save_pretrained(tmp_path / "big")
    prune(folder, text_file(tmp_path / "corpus.txt", ["ab", "a a"]), tmp_path / "small")
    before, after = StaticModel.from_pretrained(folder), StaticModel.from_pretrained(tmp_path / "small")
    assert np.array_equal(before.encode(["ab", "a a"]), after.encode(["ab", "a a"]))
    assert json.loads(after.tokenizer.to_str())["model"]["vocab"] == [["<unk>", 0], ["▁a", -1], ["b", -2.5], ["c", -9]]


def test_a_word_that_becomes_known_is_told(tmp_path):
    """ "abc" is unknown, as "ab" comes first and "##c" is no piece; where nothing else needs "ab", "a" comes first."""
    pieces = ["[PAD]", "[UNK]", "ab", "a", "##bc", "x", "##x"]
    tokenizer = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    folder = with_table(plain(tokenizer)).save_pretrained(tmp_path / "big")
    texts = ["abc x", "a xbc", "x"]
    found = prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small").corpus
    assert (found.changed, found.unknown, found.unknown_after) == (1, 1, 0)
    assert found.examples[0].before == ["[UNK]", "x"] and found.examples[0].after == ["a", "##bc", "x"]


def test_added_tokens_move_with_their_pieces(tmp_path):
    """One within the vocabulary, one behind it, and two behind it of which no text has one."""
    pieces = {"[PAD]": 0, "[UNK]": 1, "rare": 2, "a": 3, "b": 4, "c": 5, "##a": 6}
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[X]"])
    tokenizer.add_tokens([AddedToken("never met"), AddedToken("c b", lstrip=True), AddedToken("c")])
    model = with_table(plain(tokenizer))
    folder = model.save_pretrained(tmp_path / "big")
    texts = ["a c b a", "a c", "b [X] ?"]
    before = StaticModel.from_pretrained(folder)
    assert " c b" in cut(before, texts)[0] or "c b" in cut(before, texts)[0]
    assert prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small").corpus.changed == 0
    after = StaticModel.from_pretrained(tmp_path / "small")
    assert cut(after, texts) == cut(before, texts) and np.array_equal(after.encode(texts), before.encode(texts))
    vocabulary = after.tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(len(after.table)))
    assert {"[X]", "c b", "c"} <= set(vocabulary) and not {"rare", "never met"} & set(vocabulary)
    assert next(each for each in after.tokenizer.get_added_tokens_decoder().values() if each.content == "c b").lstrip


def test_an_id_that_is_no_pieces_leaves_no_row(tmp_path):
    pieces = {"[PAD]": 0, "[UNK]": 1, "a": 4, "b": 5, "c": 7}
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    folder = with_table(plain(tokenizer)).save_pretrained(tmp_path / "big")
    prune(folder, text_file(tmp_path / "corpus.txt", ["c a"]), tmp_path / "small")
    before, after = StaticModel.from_pretrained(folder), StaticModel.from_pretrained(tmp_path / "small")
    assert after.tokenizer.get_vocab() == {"[PAD]": 0, "[UNK]": 1, "a": 2, "c": 3} and len(after.table) == 4
    assert np.array_equal(before.encode(["c a"]), after.encode(["c a"]))
    tokenizer.add_tokens(["d"])  # which `tokenizers` gives the number of pieces for its id: that of "b"
    with pytest.raises(ModelFormatError, match="the id 5 to two tokens"):
        Vocabulary.of(tokenizer)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("with_mapping", [False, True])
def test_tables_stay_what_they_are(hand_folder, hand_table, tmp_path, dtype, with_weights, with_mapping):
    from model2vec import StaticModel as Peer

    tensors = {"embeddings": np.ascontiguousarray((hand_table[::2] if with_mapping else hand_table).astype(dtype))}
    tensors |= {"mapping": np.arange(32) // 2} if with_mapping else {}
    tensors |= {"weights": np.linspace(0.5, 2, 32).astype(np.float32)} if with_weights else {}
    save_file(tensors, hand_folder / "model.safetensors")
    texts = ["the cat sat", "dogs ran", "a b !"]
    prune(hand_folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    found = load_file(tmp_path / "small" / "model.safetensors")
    assert {name: array.dtype for name, array in found.items()} == {name: a.dtype for name, a in tensors.items()}
    assert len(found["embeddings"]) < len(tensors["embeddings"])
    before, after = (StaticModel.from_pretrained(each).encode(texts) for each in (hand_folder, tmp_path / "small"))
    assert np.array_equal(before, after)
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert config["embedding_dtype"] == np.dtype(dtype).name and config.get("vocabulary_quantization") == (
        len(found["embeddings"]) if with_mapping else None
    )
    theirs = Peer.from_pretrained(tmp_path / "small").encode(texts)
    np.testing.assert_allclose(theirs, after, atol=1e-3 if dtype is np.float16 else 1e-6)  # they add in float16


def test_model2vec_and_sentence_transformers_load_it(big, corpus, texts, tmp_path):
    from model2vec import StaticModel as Peer
    from sentence_transformers import SentenceTransformer

    prune(big, corpus, tmp_path / "small")
    ours = StaticModel.from_pretrained(tmp_path / "small").encode(texts)
    is_known = ours.any(axis=1)
    for theirs in (Peer.from_pretrained(tmp_path / "small"), Peer.from_pretrained(big)):
        np.testing.assert_allclose(theirs.encode(texts)[is_known], ours[is_known], atol=1e-5)
    was, now = (SentenceTransformer(str(each), device="cpu").encode(texts) for each in (big, tmp_path / "small"))
    np.testing.assert_allclose(now, was, atol=1e-6)  # theirs count [UNK], whose row is as it was


def test_modules_behind_a_table_are_folded_into_it(hand_model, tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, StaticEmbedding

    table = StaticEmbedding(hand_model.tokenizer, embedding_weights=np.array(hand_model.table))
    modules = [table, Dense(8, 3, activation_function=torch.nn.Identity(), bias=False), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(tmp_path / "st"))
    texts = ["the cat sat", "a b"]
    prune(tmp_path / "st", text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    before, after = (StaticModel.from_pretrained(each).encode(texts) for each in (tmp_path / "st", tmp_path / "small"))
    assert after.shape == (2, 3) and np.array_equal(before, after)


def test_phrases_stay_where_both_of_their_pieces_do(phrase_model, tmp_path):
    folder = phrase_model.save_pretrained(tmp_path / "big")
    texts = ["the cat", "a dogs", "the cat sat on"]
    pruned = prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    after = StaticModel.from_pretrained(tmp_path / "small")
    name = after.tokenizer.id_to_token
    # All single letters of these words are pieces that stay, b is none of them.
    assert [[name(each) for each in pair] for pair in after.phrases.pairs.tolist()] == [
        ["the", "cat"],
        ["cat", "sat"],
        ["dog", "##s"],
    ]
    assert (pruned.before.phrases, pruned.after.phrases) == (5, 3) and pruned.corpus.lowest == 1
    assert np.array_equal(phrase_model.encode(texts), after.encode(texts))
    assert "Of its 5 phrases 3 stay" in after.card.readme
    none = prune(folder, text_file(tmp_path / "corpus.txt", ["mat ran"]), tmp_path / "none")
    assert none.after.phrases == 0 and StaticModel.from_pretrained(tmp_path / "none").phrases is None


def test_a_model_with_many_phrases_gives_the_same_vectors(distilled, sentences, tmp_path):
    folder = phrases_of(distilled, sentences, 500).save_pretrained(tmp_path / "big")
    texts = sentences[:200]
    prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    before, after = StaticModel.from_pretrained(folder), StaticModel.from_pretrained(tmp_path / "small")
    assert np.array_equal(before.encode(texts), after.encode(texts)) and 0 < len(after.phrases) < 500


def test_a_classifier_answers_as_before(tmp_path):
    labels = {
        "weather": ["will it rain", "will it snow", "sun or hail"],
        "bank": ["my card", "lost my pin", "pay a bill"],
    }
    texts = [
        f"{start} {text}" for each in labels.values() for text in each for start in ("", "please", "tell me,", "oh")
    ]
    rows = [label for label, each in labels.items() for _ in range(4 * len(each))]
    folder = TextClassifier(head="hybrid", tune="head").fit(texts, rows).save_pretrained(tmp_path / "big")
    pruned = prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    opened = (StaticModel.from_pretrained(each) for each in (folder, tmp_path / "small"))
    before, after = (ByNumpy(each.head, each.tokenizer, each.encode).encode(texts, 0, 512) for each in opened)
    assert np.array_equal(before, after)
    assert TextClassifier.from_pretrained(tmp_path / "small").score(texts, rows) == 1
    assert pruned.before.grams >= pruned.after.grams > 0 and pruned.after.pieces < 200
    half = prune(folder, text_file(tmp_path / "half.txt", texts[: len(texts) // 2]), tmp_path / "half")
    assert half.after.grams < half.before.grams


def test_a_bundle_that_holds_its_table_in_a_graph_is_pruned(tmp_path, texts):
    """The built-in model: to a folder in float32, which is exported again."""
    prune(None, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small")
    before, after = StaticModel.from_pretrained(), StaticModel.from_pretrained(tmp_path / "small")
    assert np.array_equal(before.encode(texts), after.encode(texts))
    bundle = export(tmp_path / "small", tmp_path / "bundle", quantize="none")
    vectors = EdgeModel.from_pretrained(bundle.folder, graph="text").encode(texts)
    np.testing.assert_allclose(vectors, after.encode(texts), atol=1e-5)


def test_a_pruned_unigram_model_runs_from_text_as_any_other(texts, tmp_path):
    folder = with_table(unigram(texts, "always")).save_pretrained(tmp_path / "big")
    prune(folder, text_file(tmp_path / "corpus.txt", texts[:50]), tmp_path / "small")
    bundle = export(tmp_path / "small", tmp_path / "bundle", quantize="none", graphs=["text"])
    wanted = StaticModel.from_pretrained(tmp_path / "small").encode(texts)
    for engine in ("native", "onnxruntime"):
        vectors = EdgeModel.from_pretrained(bundle.folder, graph="text", engine=engine).encode(texts)
        np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_the_card_tells_where_it_comes_from(hand_model, tmp_path):
    readme = '---\nlicense: mit\nmodel_name: "Hand"\n---\n\n# Hand\n\nMade by hand.\n\n```sh\n# a comment\n```\n'
    config = {"edge_potion": {"teacher": "me", "scores": {"8": {"STS": 80.0}}}, "tokenizer_name": "mine"}
    card = replace(hand_model.card, readme=readme, config=config)
    replace(hand_model, card=card).save_pretrained(tmp_path / "big")
    (tmp_path / "in").mkdir()
    named = [text_file(tmp_path / "in" / name, ["the cat", "a dog"]) for name in ("one.txt", "two_b.txt")]
    prune(tmp_path / "big", named, tmp_path / "small")
    found = StaticModel.from_pretrained(tmp_path / "small").card
    assert found.readme.startswith('---\nlicense: mit\nmodel_name: "small"\n---\n\n# small\n\nHand with ')
    assert "of its 32 pieces: those that 4 texts use (one.txt, two\\_b.txt)" in found.readme
    assert (
        "### Hand\n\nMade by hand.\n\n```sh\n# a comment\n```\n" in found.readme and str(tmp_path) not in found.readme
    )
    told = found.config["edge_potion"]
    assert told["teacher"] == "me" and "scores" not in told and found.config["tokenizer_name"] == "mine"
    assert told["pruned"]["from"] == "Hand" and told["pruned"]["corpora"] == ["one.txt", "two_b.txt"]
    assert (told["pruned"]["of_pieces"], told["pruned"]["texts"], told["pruned"]["coverage"]) == (32, 4, 1.0)


def test_prompts_keep_their_pieces(hand_model, tmp_path):
    """The default one stands before every text; another may be asked for, and its rare words with it."""
    prompts = {"query": "dog: ", "passage": "the mat . "}
    card = replace(hand_model.card, prompts=prompts, default_prompt="query")
    folder = replace(hand_model, card=card).save_pretrained(tmp_path / "big")
    texts = ["a cat", "cats", "b c"] * 20
    found = prune(folder, text_file(tmp_path / "corpus.txt", texts), tmp_path / "small", keep_share=0.95)
    before, after = StaticModel.from_pretrained(folder), StaticModel.from_pretrained(tmp_path / "small")
    assert found.corpus.changed == 0 and after.card.prompts == prompts and after.card.default_prompt == "query"
    for prompt in (*prompts.values(), ""):
        assert np.array_equal(before.encode(texts, prompt=prompt), after.encode(texts, prompt=prompt))
    assert not {"sat", "ran", "##ning"} & set(after.tokenizer.get_vocab())


def test_texts_come_from_every_kind_of_file_and_from_pipes(hand_folder, tmp_path):
    texts = ["the cat", "a dog", "b"]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.txt.gz").write_bytes(gzip.compress(b"the cat\n"))
    (tmp_path / "in" / "two.jsonl").write_text('{"said": "a dog"}\n{"said": "b"}\n')
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("".join(f"{text}\n" for text in texts),))
    writer.start()
    by_pipe = prune(hand_folder, pipe, tmp_path / "by-pipe")
    writer.join()
    by_folder = prune(hand_folder, [tmp_path / "in"], tmp_path / "by-folder", text_column="said")
    assert files_without_card(tmp_path / "by-pipe") == files_without_card(tmp_path / "by-folder")
    assert by_pipe.corpus == by_folder.corpus and by_pipe.corpus.texts == 3


def test_what_cannot_be_done_is_refused_in_words(hand_folder, hand_model, tmp_path):
    corpus = text_file(tmp_path / "corpus.txt", ["the cat"])
    out = tmp_path / "small"

    def refused(match: str, *names: object, **options: object) -> None:
        with pytest.raises(InputError, match=match):
            prune(*(names or (hand_folder, corpus, out)), **options)
        assert not out.exists()

    refused("a share of the tokens and a number of rows", keep_share=0.9, rows=20)
    for share in (0.0, -1.0, 1.1, float("nan")):
        refused("the share to keep is", keep_share=share)
    refused("rows is 0", rows=0)
    refused("no corpus is named", hand_folder, [], out)
    refused("is named twice", hand_folder, [corpus, corpus], out)
    refused("there is no such file", hand_folder, tmp_path / "none.txt", out)
    refused("stdin is named for the corpus and", hand_folder, "-", out, held_out="-")
    refused("holds no token that the model knows", hand_folder, text_file(tmp_path / "foreign.txt", ["ψ", ""]), out)
    refused("no such folder", tmp_path / "none", corpus, out)
    refused("would be lost; name another folder", hand_folder, corpus, hand_folder)
    (tmp_path / "latin.txt").write_bytes(b"the cat\n\xe9\n")
    refused("latin.txt, line 2: byte 0 is not UTF-8", hand_folder, tmp_path / "latin.txt", out)
    (tmp_path / "columns.csv").write_text("said\nthe cat\n")
    refused("columns.csv", hand_folder, tmp_path / "columns.csv", out)
    hand_model.save_pretrained(hand_model.save_pretrained(tmp_path / "whole") / "without_phrases")
    refused("is a model trained by itself, which would be lost", hand_folder, corpus, tmp_path / "whole")
    (tmp_path / "taken").mkdir()
    refused("holds something else", hand_folder, corpus, text_file(tmp_path / "taken" / "x", []).parent)


def test_tokenizers_whose_pieces_cannot_be_taken_out_are_refused_by_name(sentences, tmp_path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(sentences[:100], trainers.BpeTrainer(vocab_size=400, show_progress=False))
    folder = with_table(plain(tokenizer)).save_pretrained(tmp_path / "big")
    with pytest.raises(
        ModelFormatError, match="the tokenizer is BPE, and those of WordPiece, WordLevel, Unigram can be"
    ):
        prune(folder, text_file(tmp_path / "corpus.txt", sentences[:5]), tmp_path / "small")


@pytest.mark.parametrize("path", ["model.word_ids", "tables", "post_processor"])
def test_what_may_name_pieces_in_a_way_that_is_not_known_is_refused(hand_tokenizer, path):
    content = json.loads(hand_tokenizer.to_str())
    (content["model"] if "." in path else content)[path.split(".")[-1]] = {"a": 1}
    with pytest.raises(ModelFormatError, match=f"holds {path}, which may name pieces"):
        Vocabulary(content, 32, 1, 0)


def test_a_file_that_changes_while_it_is_read_is_refused(hand_folder, tmp_path, monkeypatch):
    from edge_potion.pruning import prune as job

    corpus = text_file(tmp_path / "corpus.txt", ["the cat"])
    choose = job.chosen

    def chosen_meanwhile(*given):
        text_file(corpus, ["the cat", "a dog"])
        return choose(*given)

    monkeypatch.setattr(job, "chosen", chosen_meanwhile)
    with pytest.raises(InputError, match=r"corpus.txt was changed while it was read"):
        prune(hand_folder, corpus, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_a_full_disk_leaves_nothing(distilled_folder, texts, tmp_path, small_disk):
    with pytest.raises(AccessError):
        prune(distilled_folder, text_file(tmp_path / "corpus.txt", texts), small_disk / "small")
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_who_is_stopped_leaves_what_was_there(hand_folder, hand_model, tmp_path, how):
    """A model of that name stays whole, and nothing lies beside it."""
    out = hand_model.save_pretrained(tmp_path / "out" / "small")
    before = files_without_card(out)
    command = [Path(sys.executable).parent / "edge-potion", "prune", hand_folder, "--corpus", "-", "--out", out]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdin.write(b"the cat\n" * 200_000)  # more than a pipe holds: it is reading by now
        running.stdin.flush()
        running.send_signal(how)
        running.stdin.close()
        running.wait(60)
        assert running.returncode in (128 + how, -how) and b"Traceback" not in running.stderr.read()
    assert files_without_card(out) == before and [each.name for each in out.parent.iterdir()] == ["small"]
