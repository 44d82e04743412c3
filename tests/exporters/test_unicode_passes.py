"""A normalizer's passes in the text graph, held to the normalizer itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto
from tokenizers import Regex, Tokenizer, models, normalizers

from edge_potion.errors import ModelFormatError
from edge_potion.exporters.graph_builder import GraphBuilder
from edge_potion.exporters.precompiled import charsmap_of
from edge_potion.exporters.text_passes import code_points
from edge_potion.exporters.unicode_passes import Passes, passes_of
from edge_potion.exporters.unicode_tables import normalizer_of

from .unigram_tokenizers import CHARSMAP

NORMALIZERS = {
    "none": None,
    "NFC": normalizers.NFC(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
    "NFKD": normalizers.NFKD(),
    "Nmt, NFKC, Lowercase": normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Lowercase()]),
    "NFD, StripAccents, Strip": normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Strip()]
    ),
    "signs apart, white space once, Strip at the right": normalizers.Sequence(
        [
            *(normalizers.Replace(sign, f" {sign} ") for sign in ".,\u00e9"),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(left=False, right=True),
        ]
    ),
    "blanks once, Strip at the left": normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip(left=True, right=False)]
    ),
}
INTERACTING = (
    " \t\r\nae.1\u00a0\u3000",
    "\u0301\u0323\u0345\u0308\u0302\u0327\u031b\u200d\ufe0f\u094d\u093c\u05b0\u05bc\u0653\u0e33\u3099\uff9e",
    "\u1100\u1112\u1161\u1175\u11a8\u11c2\uac00\uac01\ub098",
    "\u0915\u0937\u0958\u09c7\u09be\u09d7\u0dd9\u0dca\u0627\u0622\ufdfa\u0600\u06dd\U00013433",
    "\u2122\u00a9\U0001f468\U0001f469\U0001f1e6\U0001f1e7\u2764\U0001f3fb",
    "A\u00e9\u1ebf\ufb01\u212b\u1e9b\uff76\u304b\u00bd\u0130\u00df\u200b\u00ad\ufeff\u2028\u0001",
)


def with_normalizer(normalizer: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


@pytest.fixture(scope="module", params=[*NORMALIZERS, "Precompiled"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "Precompiled":
        step = {"type": "Precompiled", "precompiled_charsmap": charsmap_of(CHARSMAP)}
        return with_normalizer(normalizer_of(step))
    return with_normalizer(NORMALIZERS[request.param])


@pytest.fixture(scope="module")
def graph(tokenizer: Tokenizer) -> onnxruntime.InferenceSession:
    builder = GraphBuilder()
    ended = builder.op("Concat", "text", builder.constant([0], np.uint8), axis=0)
    builder.output(code_points(builder, ended, passes_of(tokenizer)), "points")
    types = {"text": TensorProto.UINT8, "points": TensorProto.INT32}
    model = builder.finish("passes", {"text": ["bytes"]}, {"points": ["n"]}, {}, types)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def normalized(graph: onnxruntime.InferenceSession, texts: Sequence[str]) -> list[str]:
    (points,) = graph.run(None, {"text": np.frombuffer("\0".join(texts).encode(), np.uint8)})
    return bytes(points.astype("<i4").tobytes()).decode("utf-32-le").split("\0")[:-1]


def differing(tokenizer: Tokenizer, graph: onnxruntime.InferenceSession, texts: Sequence[str]) -> list[str]:
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    wanted = [normalize(text) for text in texts]
    return [
        ascii(text) for text, one, other in zip(texts, normalized(graph, texts), wanted, strict=True) if one != other
    ]


def test_every_code_point_alone_becomes_what_the_normalizer_makes_of_it(
    tokenizer: Tokenizer, graph: onnxruntime.InferenceSession
) -> None:
    codes = [*range(1, 0x3400), *range(0xA000, 0xAD00), *range(0xD7A0, 0xD800), *range(0xE000, 0xE100)]
    codes += [*range(0xF900, 0x13500), *range(0x1D000, 0x1FB00), *range(0xE0000, 0xE0200)]
    assert differing(tokenizer, graph, list(map(chr, codes))) == []


def test_every_code_point_between_a_letter_and_a_mark(
    tokenizer: Tokenizer, graph: onnxruntime.InferenceSession
) -> None:
    texts = [f"A{chr(code)}\u0301" for code in [*range(1, 0x3400), *range(0xF900, 0x12000), *range(0x1F000, 0x1FB00)]]
    assert differing(tokenizer, graph, texts) == []


def test_random_texts_of_characters_that_interact(tokenizer: Tokenizer, graph: onnxruntime.InferenceSession) -> None:
    chance = random.Random(0)
    texts = [
        "".join(chance.choice(chance.choice(INTERACTING)) for _ in range(chance.randint(0, 9))) for _ in range(9000)
    ]
    assert differing(tokenizer, graph, texts) == []


def test_texts_one_by_one_and_empty_ones(tokenizer: Tokenizer, graph: onnxruntime.InferenceSession) -> None:
    texts = ["", " ", "a", "\u0301", "\u1161", "\u0345\u0301", "\u0301\u0345a", "  a  b ", "\r\n", "\U0001f1e6"]
    assert [text for text in texts if differing(tokenizer, graph, [text])] == []


def test_a_character_stands_for_nul_where_the_normalizer_keeps_it() -> None:
    assert passes_of(with_normalizer(normalizers.NFKC())).like_nul
    assert passes_of(with_normalizer(normalizers.Replace("\0", ""))).like_nul is None
    assert passes_of(with_normalizer(normalizers.Replace("\0", "x"))).like_nul == ()


def test_without_a_normalizer_there_are_no_passes() -> None:
    passes = passes_of(with_normalizer(None))
    assert (passes.steps, passes.facts()["passes"], passes.most_characters) == (Passes().steps, "", 1)


@pytest.mark.parametrize(
    ("normalizer", "told"),
    [
        (normalizers.Replace("ab", "c"), "Replace"),
        (normalizers.Replace(Regex("a+"), "b"), "Replace"),
        (normalizers.Prepend("x"), "Prepend"),
        (normalizers.BertNormalizer(), "BertNormalizer"),
        (normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()]), "Strip"),
        (normalizers.Replace("a", "b" * 40), "40 characters"),
    ],
)
def test_what_passes_cannot_do_is_refused_by_name(normalizer: Any, told: str) -> None:
    with pytest.raises(ModelFormatError, match=told):
        passes_of(with_normalizer(normalizer))
