"""One text graph's file in ONNX Runtime and in the engine, held to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_potion import StaticModel
from edge_potion.exporters.head import PackedHead, pack_head
from edge_potion.exporters.phrase_rows import phrase_table
from edge_potion.exporters.pooling import Pooling
from edge_potion.exporters.quantize import PackedTable, pack
from edge_potion.exporters.text_family import Family, family_of
from edge_potion.exporters.text_graph import text_graph
from edge_potion.golden import TOLERANCES
from edge_potion.head_in_graph import head_facts

from .c_interface import Native

BATCH = 1000  # texts a call
# What golden.json allows float32, of up to 128 tokens a text: the two add up floats in another order.
FLOAT_DIFFERENCE = TOLERANCES["float32"].max_abs_diff
# Values of such a vector that a head rounds to another step, at most; few lie so near to the middle of two.
OTHER_STEPS = 8


@dataclass(frozen=True)
class Both:
    """A file, open twice, and what it was made from."""

    model: StaticModel
    packed: PackedTable
    file: bytes
    session: onnxruntime.InferenceSession
    native: Native
    head: PackedHead | None

    @classmethod
    def of(cls, model: StaticModel, precision: str = "int8", tables: Family | None = None) -> Self:
        """`tables` are of the model's tokenizer, where they were made before. The session gives `logits`, too."""
        card = model.card
        packed = pack(model.table, precision, normalize=card.normalize)
        phrases = phrase_table(model.phrases) if model.phrases else None
        pooling = Pooling(packed, model.dropped_ids, card.normalize, phrases)
        says = {"normalize": json.dumps(card.normalize), "max_tokens": json.dumps(card.max_tokens)}
        says |= {"tokens": str(model.pieces), "phrases": str(len(model.phrases))} if model.phrases else {}
        head = pack_head(model.head) if model.head else None
        says |= head_facts(model.head.answers) if model.head else {}
        graph = text_graph(pooling, tables or family_of(model.tokenizer), card.max_tokens, says, head=head)
        file = graph.SerializeToString()
        if head:
            give_logits(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return cls(model, packed, file, session, Native(file), head)

    def by_onnxruntime(self, joined: bytes) -> np.ndarray:
        """(texts, D) float32."""
        return self.session.run(["sentence_embedding"], {"text": np.frombuffer(joined, np.uint8)})[0]

    def logits_by_onnxruntime(self, joined: bytes) -> np.ndarray:
        """(texts, C) float32."""
        return self.session.run(["logits"], {"text": np.frombuffer(joined, np.uint8)})[0]

    def check(self, texts: Sequence[str | bytes], batch: int = BATCH, told: object = "") -> int:
        """The number of texts; fails with the shortest that differs. What is no UTF-8 comes as bytes."""
        content = [text if isinstance(text, bytes) else text.replace("\0", "").encode() for text in texts]
        for begin in range(0, len(content), batch):
            some = content[begin : begin + batch]
            if wrong := self.strays(some):
                shortest = min((some[place] for place in wrong), key=len)
                pytest.fail(f"{told} {begin=}: {len(wrong)} of {len(some)} texts differ, such as {shortest[:1000]!r}")
        return len(content)

    def strays(self, texts: Sequence[bytes]) -> list[int]:
        """Which of some texts, in one call, have other bits; at float16 and float32, which are farther apart."""
        joined = b"\0".join(texts)
        wanted, found = self.by_onnxruntime(joined), self.native.embed(joined)
        largest = 1 if self.model.card.normalize else np.abs(wanted).max(initial=np.finfo(np.float32).tiny)
        differs = self._differs(wanted, found, FLOAT_DIFFERENCE * largest)
        if self.head:
            classified = self.native.classify(joined, with_vectors=True)
            assert np.array_equal(classified.vectors.view(np.uint32), found.view(np.uint32))
            step = np.abs(self.head.dense * self.head.dense_scale).max()
            differs |= self._differs(self.logits_by_onnxruntime(joined), classified.logits, OTHER_STEPS * step)
        return np.flatnonzero(differs).tolist()

    def _differs(self, wanted: np.ndarray, found: np.ndarray, bound: float) -> np.ndarray:
        """(texts,) bool."""
        assert wanted.shape == found.shape and wanted.dtype == found.dtype == np.float32
        if self.packed.precision == "int8":
            return (wanted.view(np.uint32) != found.view(np.uint32)).any(axis=1)
        return (~(np.abs(wanted - found) <= bound)).any(axis=1)


def give_logits(graph: onnx.ModelProto) -> None:
    """As one more output: what probabilities are made of."""
    (node,) = (node for node in graph.graph.node if node.op_type in ("Softmax", "Sigmoid"))
    graph.graph.node.append(onnx.helper.make_node("Identity", [node.input[0]], ["logits"]))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["texts", None]))
