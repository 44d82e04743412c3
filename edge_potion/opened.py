"""What every model holds once it is open, whoever runs it: all that it needs, whatever becomes of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edge_potion.bundle import Bundle, is_bundle, open_bundle
from edge_potion.tokens import open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Asked", "EngineName", "GraphName", "Opened", "PrecisionName", "ProviderName", "bundle_in"]

# For editors, which complete them; what a str holds is checked when it is used.
PrecisionName = Literal["int8", "float16", "float32"] | str
GraphName = Literal["auto", "text", "bag", "tokens"] | str
ProviderName = Literal["auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "directml", "webgpu"] | str
EngineName = Literal["auto", "native", "onnxruntime"] | str


@dataclass(frozen=True)
class Asked:
    """How a model was asked for: `EdgeModel.from_pretrained` says what each is."""

    provider: str | tuple[str, Mapping[str, Any]]
    precision: str | None
    graph: str
    threads: int | None
    engine: str


@dataclass(frozen=True)
class Opened:
    """An open model.

    Attributes:
        bundle: what its folder said.
        graph, precision: of the graph that runs.
        content: that graph's file.
        tokenizer_json: content of that file.
        asked: how it was asked for.
    """

    bundle: Bundle
    graph: str
    precision: str
    content: bytes | mmap
    tokenizer_json: bytes
    asked: Asked

    @property
    def tokens(self) -> int:
        """V: ids of tokens are 0..V-1."""
        raise NotImplementedError

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer."""
        return open_tokenizer(self.bundle.folder / "tokenizer.json", self.tokenizer_json)

    @cached_property
    def fingerprint(self) -> str:
        """Of what makes the vectors: the graph and the tokenizer."""
        import hashlib  # for a model that is sent

        digest = hashlib.sha256(self.content)
        digest.update(self.tokenizer_json)
        return digest.hexdigest()


def bundle_in(folder: Path, precision: str) -> Bundle:
    """The bundle in `folder`, or the one that was exported from it at `precision` into the cache."""
    if is_bundle(folder):
        return open_bundle(folder)
    from edge_potion.cache import bundle_of  # what it imports is not needed above

    return bundle_of(folder, precision)
