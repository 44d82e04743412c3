"""EdgeModel: texts -> vectors by the native engine or ONNX Runtime, from a bundle or any static model folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, cast

import numpy as np

from edge_potion.batches import Batch, all_vectors, batches, options
from edge_potion.bundle import Bundle
from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN, find_folder
from edge_potion.open_in_engine import InEngine
from edge_potion.open_model import open_model
from edge_potion.opened import Asked, EngineName, GraphName, Opened, PrecisionName, ProviderName
from edge_potion.peer_names import PeerNames
from edge_potion.sent_model import name_elsewhere, opened_again
from edge_potion.tokens import UNSET, TokenIds, Unset, check_count, checked_ids, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from edge_potion.codes import Codes, DType
    from edge_potion.directions import Comparable
    from edge_potion.duplicates import Duplicates
    from edge_potion.engine import Engine
    from edge_potion.from_ids import FromIds
    from edge_potion.from_text import FromText
    from edge_potion.nearest import Hit
    from edge_potion.open_on_provider import OnProvider
    from edge_potion.rotation import Rotation

__all__ = ["Batch", "EdgeModel"]

# What `from_pretrained` takes for not given; a test holds it to its signature.
LOAD_DEFAULTS: Mapping[str, Any] = {
    "model": None,
    "provider": "auto",
    "precision": None,
    "graph": "auto",
    "threads": None,
    "revision": None,
    "engine": "auto",
}
BATCH_SIZE = 1024
_opened_again = opened_again  # by this name pickles of 0.1 ask for it


class EdgeModel(PeerNames):
    """A static embedding model. Make one with `EdgeModel.from_pretrained`.

    Safe to use from many threads at once. Once it is open it needs its folder no more: whatever becomes of that, the
    vectors stay those of the model that was loaded.

    It can be pickled and sent to other processes, where it is opened again from its folder, by name from the hub, or
    from the package: ModelFormatError where other files are found. A copy is the model itself: nothing in it changes.

    Attributes:
        bundle: the folder it was loaded from.
        graph: which graph runs, "text", "bag" or "tokens".
        precision: "int8", "float16" or "float32".
        engine: what runs it, "native" or "onnxruntime".
        provider: short name of the provider that runs the table lookup and the pooling.
        ran_on: names of the nodes by the provider that runs them; empty on the CPU, where there is no other.
        elsewhere: those that run on another provider than `provider`.
    """

    def __init__(self, opened: Opened | Any = None, found_by: Any = None, *_: Any, **__: Any) -> None:
        if not isinstance(opened, Opened):
            given = repr(opened) if isinstance(opened, str) else "MODEL"
            raise InputError(f"a model is opened by EdgeModel.from_pretrained({given}), and not by EdgeModel itself")
        self.bundle = opened.bundle
        self.graph = opened.graph
        self.precision = opened.precision
        self._opened = opened
        self._found_by: tuple[str | None, str | None] = found_by
        self._one: Callable[[str], np.ndarray] | None = None  # for a search box: a text by itself
        self._ids: Engine | FromIds
        self._way: Engine | FromIds | FromText
        if isinstance(opened, InEngine):
            self.engine, self.provider = "native", "cpu"
            self.ran_on: Mapping[str, Sequence[str]] = {}
            self._way = self._ids = opened.engine
            self._one = None if opened.bundle.prompt else opened.engine.encode_one
        else:
            from edge_potion.from_ids import FromIds
            from edge_potion.from_text import FromText
            from edge_potion.open_on_provider import OnProvider

            assert isinstance(opened, OnProvider)
            session = opened.open_graph.session
            self.engine, self.provider, self.ran_on = "onnxruntime", session.provider, session.ran_on
            self._ids = FromIds(opened)
            self._way = FromText(opened, self._ids) if self.graph == "text" else self._ids
        self.elsewhere = {name: nodes for name, nodes in self.ran_on.items() if name != self.provider}

    def __repr__(self) -> str:
        return (
            f"EdgeModel({self._found_by[0] or BUILT_IN!r}, graph={self.graph!r}, precision={self.precision!r}, "
            f"engine={self.engine!r}, provider={self.provider!r}, dim={self.dim})"
        )

    def __copy__(self) -> EdgeModel:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> EdgeModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        asked = self._opened.asked
        options = {} if isinstance(asked.provider, str) else asked.provider[1]
        where = (*self._found_by, self.provider, tuple(options.items()), asked.threads)
        return opened_again, (*where, self.graph, self.precision, self.fingerprint, asked.engine)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        provider: ProviderName | tuple[str, Mapping[str, Any]] = "auto",
        precision: PrecisionName | None = None,
        graph: GraphName = "auto",
        threads: int | None = None,
        revision: str | None = None,
        engine: EngineName = "auto",
        **words: Any,
    ) -> EdgeModel:
        """Load a bundle, or any Model2Vec or StaticEmbedding model (exported once into the user's cache).

        Args:
            model: path of a folder, or a hub id such as "minishlab/potion-base-8M"; by default the model that comes
                with edge-potion, potion-256d-minilm.
            provider: "auto", "cpu", "cuda", "openvino", ..., ONNX Runtime's own name, or (name, options).
            precision: "int8", "float16" or "float32"; by default the smallest the provider runs well.
            graph: "text", which needs no `tokenizers`, "bag" or "tokens"; "auto" takes the fastest that the bundle
                holds for the provider.
            threads: most threads at work; None means one a core.
            revision: branch, tag or commit, for hub ids.
            engine: "native", which needs no onnxruntime and runs the text graph on the CPU; "onnxruntime"; "auto" takes
                the native one where it is built and runs what is asked for. Both give the same bits at int8.
            words: arguments of other libraries; see `edge_potion.peer_words`.

        Raises:
            InputError: no such model, graph or precision.
            ModelFormatError: a file is missing, truncated or foreign.
            ProviderError: the provider is absent, fell back, or has no kernels for the precision.
            EngineError: the native engine was asked for, and is not here or does not run this.
            MissingExtraError: onnxruntime is not installed, and the native engine does not run this; or onnx is not,
                and the model has no graphs yet.
        """
        if words:
            from edge_potion.peer_words import options_at_load, refuse_other_lengths

            ours: dict[str, Any] = {"model": model, "provider": provider, "precision": precision, "graph": graph}
            ours |= {"threads": threads, "revision": revision, "engine": engine}
            opened_model = cls._open(**options_at_load(ours, LOAD_DEFAULTS, words))
            refuse_other_lengths(opened_model.says, words)
            return opened_model
        return cls._open(model, provider, precision, graph, threads, revision, engine)

    @classmethod
    def _open(
        cls,
        model: Any,
        provider: Any,
        precision: str | None,
        graph: str,
        threads: int | None,
        revision: str | None,
        engine: str,
    ) -> EdgeModel:
        folder = find_folder(model, revision)
        opened = open_model(folder, Asked(provider, precision, graph, threads, engine))
        return cls(opened, name_elsewhere(model, revision, folder))

    @property
    def native(self) -> Engine | None:
        """The native engine that runs the model; None where ONNX Runtime does."""
        return self._opened.engine if isinstance(self._opened, InEngine) else None

    @property
    def on_provider(self) -> OnProvider | None:
        """The open graph in ONNX Runtime; None where the native engine runs the model."""
        return None if isinstance(self._opened, InEngine) else cast("OnProvider", self._opened)

    @property
    def dim(self) -> int:
        """D, the width of a vector."""
        return self.bundle.dim

    @property
    def says(self) -> Bundle:
        """What the model says of itself."""
        return self.bundle

    @property
    def device(self) -> str:
        """The provider's name: "cpu", "cuda", ..."""
        return self.provider

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; one of its own, so that what becomes of it changes no vector."""
        return open_tokenizer(self.bundle.folder / "tokenizer.json", self._opened.tokenizer_json)

    @property
    def found_by(self) -> tuple[str | None, str | None]:
        """The name and revision by which other processes find the model; None and None for the built-in one."""
        return self._found_by

    @property
    def fingerprint(self) -> str:
        """Of what makes the vectors: the graph and the tokenizer."""
        return self._opened.fingerprint

    def encode(
        self,
        texts: str | Iterable[str] | Unset = UNSET,
        *misplaced: Never,
        batch_size: int = BATCH_SIZE,
        max_tokens: int | Unset | None = UNSET,
        truncate_dim: int | None = None,
        prompt: str | None = None,
        show_progress: bool = False,
        **words: Any,
    ) -> np.ndarray:
        """Vectors of `texts`, in their order.

        Args:
            texts: one text, or any iterable of texts.
            batch_size: most texts that share one ONNX Runtime call; the native engine takes them as they come.
            max_tokens: where to cut a text; the model's own limit unless given; None means never.
            truncate_dim: keep the first values of each vector, and scale to unit length again where the model does.
            prompt: what stands before every text; the model's default prompt unless given, "" for nothing.
            show_progress: a bar on stderr.
            words: arguments of sentence-transformers and model2vec, such as normalize_embeddings, prompt_name and
                convert_to_tensor: followed, or refused by name; see `edge_potion.peer_words`.

        Returns:
            (D,) float32 for a single str, else (B, D) float32; zeros for a text without a known token.

        Raises:
            InputError: an item is not a str or holds a lone surrogate, or an argument is out of range.
        """
        if (
            type(texts) is str
            and self._one is not None
            and max_tokens is UNSET
            and truncate_dim is None
            and prompt is None
            and batch_size == BATCH_SIZE
            and not (words or misplaced)
        ):
            return self._one(texts)
        ours = options(batch_size, max_tokens, truncate_dim, prompt, show_progress)
        if words or misplaced or isinstance(texts, Unset):
            from edge_potion.peer_words import encode_in_other_words

            return encode_in_other_words(self, texts, misplaced, ours, words)
        return self._encode(texts, **ours)

    def _encode(self, texts: str | Iterable[str], **ours: Any) -> np.ndarray:
        return all_vectors(texts, self._stream, self.dim, ours)

    def encode_ids(self, ids: TokenIds | Sequence[Sequence[int]], *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Vectors of texts that are tokens already, by the tokenizer of this model; they are not cut.

        Args:
            ids: whole numbers in 0..V-1, one sequence a text. The ids of [UNK] and [PAD] count for nothing.
            batch_size: most texts that share one ONNX Runtime call.

        Returns:
            (B, D) float32, in the texts' order.

        Raises:
            InputError: an id is out of range or no whole number.
        """
        check_count("batch_size", batch_size)
        return self._ids.encode_ids(checked_ids(ids, self._opened.tokens), batch_size)

    def stream(
        self,
        texts: Iterable[str] | Unset = UNSET,
        *misplaced: Never,
        batch_size: int = BATCH_SIZE,
        max_tokens: int | Unset | None = UNSET,
        truncate_dim: int | None = None,
        prompt: str | None = None,
        show_progress: bool = False,
        **words: Any,
    ) -> Iterator[Batch]:
        """Like `encode`, a `Batch` of some texts and their vectors at a time: bounded memory over any number of texts.

        Example: `for texts, vectors in model.stream(open("lines.txt")): ...`
        """
        ours = options(batch_size, max_tokens, truncate_dim, prompt, show_progress)
        if words or misplaced or isinstance(texts, Unset):
            from edge_potion.peer_words import stream_in_other_words

            return stream_in_other_words(self, texts, misplaced, ours, words)
        return self._stream(texts, **ours)

    def _stream(self, texts: Iterable[str], **ours: Any) -> Iterator[Batch]:
        return batches(texts, self._way.encode, self.bundle, self.dim, **ours)

    def similarity(self, a: Comparable, b: Comparable) -> np.ndarray:
        """Cosine similarity of every item of `a` with every item of `b`.

        Args:
            a: one text or any iterable of texts; or vectors, (N, D) or (D,) numbers of any kind: numpy arrays, lists,
                tensors of torch and what else numpy makes an array of.
            b: likewise.

        Returns:
            (A, B) float32 in -1..1; a single text or vector drops its axis. A zero vector is similar to nothing: 0.

        Raises:
            InputError: it is neither texts nor vectors, vectors hold NaN or inf, or their widths differ.
        """
        from edge_potion.directions import directions_of

        left, right = (directions_of(items, self.encode) for items in (a, b))
        if left.shape[-1] != right.shape[-1]:
            raise InputError(f"vectors of {left.shape[-1]} and of {right.shape[-1]} dimensions cannot be compared")
        return np.clip(left @ right.T, -1, 1)

    def search(self, query: Any, texts_or_vectors: Any, k: int = 10) -> list[Hit]:
        """What is nearest to `query` by cosine, the best first: of equal ones, the one that comes first.

        Args:
            query: a text, or a vector (D,) of floats.
            texts_or_vectors: any iterable of texts, which is read once, in bounded memory; or vectors (N, D) of floats;
                or int8 `Codes` of them, which are searched fastest.
            k: how many to give at most. A zero vector, as of a text without a known token, is never found, and finds
                nothing.

        Example: `[hit.text for hit in model.search("rain", open("lines.txt"), k=3)]`

        Raises:
            InputError: it is none of these, vectors hold NaN or inf, widths differ, or k is below 1.
        """
        from edge_potion.nearest import nearest

        return nearest(self, query, texts_or_vectors, k)

    def duplicates(self, texts: Iterable[str], threshold: float = 0.9, *, show_progress: bool = False) -> Duplicates:
        """Which of `texts` to keep, so that no two of them are alike, and which of these stands for each other one.

        Args:
            texts: any iterable of texts, gone through in its order.
            threshold: the cosine from which on two texts are alike, above 0 and at most 1.
            show_progress: a line on stderr.

        Example: `unique = [texts[place] for place in model.duplicates(texts).kept]`

        Raises:
            InputError: the threshold is out of range, or an item is not a str or holds a lone surrogate.
        """
        from edge_potion.duplicates import find_duplicates

        return find_duplicates(self, texts, threshold, threads=self._opened.asked.threads, show_progress=show_progress)

    @staticmethod
    def quantize(vectors: Any, dtype: DType = "int8", rotation: Rotation | None = None) -> Codes:
        """Vectors (N, D) or (D,) in fewer bytes, as vector stores take them; see `edge_potion.quantize`.

        Example: `codes = model.quantize(model.encode(texts))` has int8 `values`, and a float32 a row, `scales`.

        Raises:
            InputError: they are no floats of such a shape, or a row holds NaN, inf, or more than the dtype can hold.
        """
        from edge_potion.codes import quantize

        return quantize(vectors, dtype, rotation)

    @staticmethod
    def dequantize(codes: Codes, rotation: Rotation | None = None) -> np.ndarray:
        """(N, D) or (D,) float32: the vectors that codes stand for; see `edge_potion.dequantize`."""
        from edge_potion.codes import dequantize

        return dequantize(codes, rotation)
