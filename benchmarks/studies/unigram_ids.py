"""Holds Unigram in the text graph and in the native engine to `tokenizers`, on texts of 112 languages and on fuzz.

    python -m edge_potion.benchmarks.studies.unigram_ids DATA SCRATCH [TOKENIZER.json...] [--fuzz N] [--sentences N]
        [--unicode FOLDER] [--joined N]

Ids of the graph are compared with the tokenizer's; vectors of the engine, over a random table, with the graph's, bit by
bit. Without a TOKENIZER.json, tokenizers of all settings are trained on the texts, which takes minutes, and kept in
SCRATCH. FOLDER is of Unicode, with NormalizationTest.txt and auxiliary/*BreakTest.txt, as Debian's unicode-data
has it. Prints a line each, and ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import random
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from edge_potion.engine import Engine
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import pack
from edge_potion.exporters.text_family import family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.texts import read_lines
from edge_potion.tokens import plain, tokenize

DIMS, A_CALL = 8, 256
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
BLANKS = normalizers.Replace(Regex(" {2,}"), " ")
LOWER = (normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase())
BARE = (normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(), normalizers.Strip())
# Normalizers, where ▁ is prepended, whether words begin at each, whether white space splits first, bytes, pieces.
SETTINGS: dict[str, tuple[tuple[Any, ...], str, bool, bool, bool, int]] = {
    "nfkc-first-32k": ((normalizers.NFKC(),), "first", True, False, False, 32_000),
    "nmt-nfkc-lower-never-16k": (LOWER, "never", True, False, True, 16_000),
    "nfkc-white-space-bytes-64k": ((normalizers.NFKC(),), "always", True, True, True, 64_000),
    "nfkc-blanks-8k": ((normalizers.NFKC(), BLANKS), "always", True, False, False, 8_000),
    "nfd-bare-8k": (BARE, "always", True, False, True, 8_000),
    "nfkd-white-space-16k": ((normalizers.NFKD(),), "always", True, True, False, 16_000),
    "none-whole-texts-16k": ((), "always", False, False, True, 16_000),
    "nfc-first-whole-texts-32k": ((normalizers.NFC(),), "first", False, False, False, 32_000),
}
# Of fuzz: characters that interact, beside those of every category of Unicode.
TOGETHER = (
    [0x20, 0x20, 0x9, 0xA, 0xD, 0x61, 0x41, 0x2E, 0x31, 0x2581, 0xA0, 0x3000, 0xAD, 0x200B, 0xFEFF, 0xFFFD],
    [0x301, 0x323, 0x345, 0x308, 0x327, 0x31B, 0x200D, 0xFE0F, 0x94D, 0x93C, 0x5B0, 0x5BC, 0x64B, 0x653, 0xE33],
    [*range(0x1100, 0x1113), *range(0x1161, 0x1176), *range(0x11A8, 0x11C3), 0xAC00, 0xAC01, 0xB098],
    [0x915, 0x937, 0x958, 0x9C7, 0x9BE, 0x9D7, 0xDD9, 0xDCA, 0x627, 0x622, 0xFDFA, 0x600, 0x6DD],
    [0x2122, 0xA9, 0x1F468, 0x1F469, 0x1F1E6, 0x1F1E7, 0x2764, 0x1F3FB],
    [0xE9, 0x1EBF, 0xFB01, 0x212B, 0x1E9B, 0xFF76, 0xFF9E, 0x3099, 0x304B, 0xBD, 0x3300, 0x130, 0xDF],
)


def main() -> None:
    """Compare, and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with tatoeba-112/ and sentences.txt.xz")
    parser.add_argument("scratch", type=Path, help="folder for tokenizers and graphs")
    parser.add_argument("tokenizers", type=Path, nargs="*", help="a tokenizer.json each")
    parser.add_argument("--fuzz", type=int, default=100_000, help="made texts for each tokenizer")
    parser.add_argument("--sentences", type=int, default=50_000, help="of sentences.txt.xz, for each")
    parser.add_argument("--unicode", type=Path, help="folder of Unicode's own tests")
    parser.add_argument("--joined", type=int, help="the first tokenizer with others' pieces, so many in all")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    with gzip.open(arguments.data / "tatoeba-112" / "pairs.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts, english = [row["text"] for row in rows], [row["english"] for row in rows]
    sentences = list(islice(read_lines(arguments.data / "sentences.txt.xz"), arguments.sentences))
    files = arguments.tokenizers or [trained(name, texts + english, arguments.scratch) for name in SETTINGS]
    if arguments.joined:
        files = [joined(files, arguments.joined, arguments.scratch)]
    given = {"texts": texts, "English sides": english, "sentences": sentences}
    if arguments.unicode:
        given["of Unicode's tests"] = list(of_unicode(arguments.unicode))
    wrong = 0
    for file in files:
        compared = Compared(file, arguments.scratch)
        counts = {name: compared.differences(each) for name, each in given.items()}
        counts["fuzzed texts"] = compared.differences(list(fuzzed(arguments.fuzz)))
        sizes = {**{name: len(each) for name, each in given.items()}, "fuzzed texts": arguments.fuzz}
        told = "; ".join(f"{sizes[name]:,} {name}: {ids} + {bits}" for name, (ids, bits) in counts.items())
        print(f"{file.stem}, {compared.tokens:,} pieces: ids + bits that differ: {told}", flush=True)
        wrong += sum(map(sum, counts.values()))
    sys.exit(bool(wrong))


class Compared:
    """A tokenizer, the text graph of it in ONNX Runtime, and the engine with the same file."""

    def __init__(self, file: Path, scratch: Path) -> None:
        import onnxruntime

        self.tokenizer = plain(Tokenizer.from_file(str(file)))
        self.tokens = self.tokenizer.get_vocab_size()
        table = np.random.default_rng(0).normal(size=(self.tokens, DIMS)).astype(np.float32)
        facts = {"tokens": str(self.tokens), "normalize": "true", "max_tokens": "null"}
        pooling = Pooling(pack(table, "int8"), np.zeros(0, np.int64), normalize=True)
        graph = scratch / f"{file.stem}.onnx"
        onnx.save(text_graph(pooling, family_of(self.tokenizer), None, facts, with_ids=True), graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.engine = Engine(graph, threads=1)

    def differences(self, texts: Sequence[str]) -> tuple[int, int]:
        """Texts whose ids in the graph are not the tokenizer's, and whose vectors in the engine not the graph's."""
        ids, bits = 0, 0
        for begin in range(0, len(texts), A_CALL):
            call = texts[begin : begin + A_CALL]
            joined = np.frombuffer("\0".join(call).encode(), np.uint8)
            outputs = self.session.run(["sentence_embedding", "input_ids", "text_index"], {"text": joined})
            vectors, flat, index = outputs
            ours = np.split(flat, np.searchsorted(index, np.arange(1, len(call))))
            wanted = tokenize(self.tokenizer, call, None).split()
            ids += sum(not np.array_equal(*pair) for pair in zip(ours, wanted, strict=True))
            theirs = self.engine.encode(call, A_CALL, None)
            bits += int((theirs.view(np.int32) != vectors.view(np.int32)).any(axis=1).sum())
        return ids, bits


def trained(name: str, texts: Sequence[str], scratch: Path) -> Path:
    """A tokenizer of one of the settings, trained where it is not there yet."""
    file = scratch / f"{name}.json"
    if file.exists():
        return file
    steps, prepend, at_blanks, at_whitespace, has_bytes, size = SETTINGS[name]
    tokenizer = Tokenizer(models.Unigram())
    if steps:
        tokenizer.normalizer = normalizers.Sequence(list(steps))
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=at_blanks)
    splits = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])
    tokenizer.pre_tokenizer = splits if at_whitespace else metaspace
    specials = [*SPECIALS, *(BYTES if has_bytes else [])]
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    content = json.loads(tokenizer.to_str())
    content["model"]["byte_fallback"] = has_bytes
    content["added_tokens"] = content["added_tokens"][: len(SPECIALS)]
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return file


def joined(files: Sequence[Path], pieces: int, scratch: Path) -> Path:
    """The first of the tokenizers with pieces of the others, and their scores there, until it has so many."""
    content = json.loads(files[0].read_text(encoding="utf-8"))
    vocabulary = dict(map(tuple, content["model"]["vocab"]))
    for file in files[1:]:
        for piece, score in json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]:
            if len(vocabulary) < pieces:
                vocabulary.setdefault(piece, score)
    content["model"]["vocab"] = list(vocabulary.items())
    file = scratch / f"joined-{len(vocabulary)}.json"
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return file


def of_unicode(folder: Path) -> Iterator[str]:
    """The texts of Unicode's tests of normalization, in all forms, and of breaks; no NUL and no surrogates."""
    normalization = folder / "NormalizationTest.txt"
    packed = normalization.with_name(f"{normalization.name}.bz2")
    content = bz2.decompress(packed.read_bytes()) if packed.exists() else normalization.read_bytes()
    contents = [content, *(file.read_bytes() for file in sorted(folder.glob("auxiliary/*BreakTest.txt")))]
    texts: dict[str, None] = {}
    for line in b"\n".join(contents).decode("utf-8").splitlines():
        for column in line.partition("#")[0].split(";"):
            codes = [int(code, 16) for code in re.findall(r"\b[0-9A-F]{4,6}\b", column)]
            if codes and not any(code == 0 or 0xD800 <= code < 0xE000 for code in codes):
                texts["".join(map(chr, codes))] = None
    return iter(texts)


def fuzzed(count: int, seed: int = 0) -> Iterator[str]:
    """Texts of up to a dozen characters of all kinds; no NUL, which separates texts."""
    chance = random.Random(seed)
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    kinds: dict[str, list[str]] = {}
    for character in every:
        kinds.setdefault(unicodedata.category(character), []).append(character)
    categories = list(kinds.values())
    pools = [[chr(code) for code in codes] for codes in TOGETHER]
    for _ in range(count):
        from_pools = [
            chance.choice(chance.choice(pools if chance.random() < 0.7 else categories))
            for _ in range(chance.randint(0, 12))
        ]
        yield "".join(from_pools)


if __name__ == "__main__":
    main()
