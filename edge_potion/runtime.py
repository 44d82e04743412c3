"""EdgeModel: texts -> vectors through ONNX Runtime, from a bundle or any static model folder."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion import providers
from edge_potion.bundle import CPU_GRAPHS, PRECISIONS, Bundle, is_bundle, open_bundle
from edge_potion.calls import FEEDS, calls_of, joined, windows
from edge_potion.errors import InputError, ModelFormatError, ProviderError
from edge_potion.folders import find_folder
from edge_potion.onnx_file import check_onnx
from edge_potion.static_model import NORM_EPS, UNSET, StaticModel, Unset
from edge_potion.tokens import TokenIds, check_count, check_texts, open_tokenizer, refuse_surrogates, tokenize

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["EdgeModel"]

# Rows that a call gathers: what fits the processor's caches beside the table (65,536 tokens a call: half the speed).
# Twice as many are as fast, and hold 10 MB more.
BYTES_PER_CALL = 2 * 2**20
# int32 holds 133,152 products of 127 x 127; longer texts are summed in numpy.
LONGEST_IN_GRAPH = 131_072
MOST_TOKENS_A_CALL = 32_768  # with few dimensions too: words that must be cut cost as much with them
# A Hangul syllable is three letters; and junk takes the text graph a kilobyte of memory a letter.
LONGEST_IN_TEXT_GRAPH = LONGEST_IN_GRAPH // 3
CHARACTERS_A_TOKEN = 4  # about, in English; for the size of a call alone
MOST_THREADS = 4096  # what nobody means to ask for


class EdgeModel:
    """A static embedding model that runs in ONNX Runtime. Make one with `EdgeModel.from_pretrained`.

    Safe to use from many threads at once.

    Attributes:
        bundle: the folder it was loaded from.
        graph: which graph runs, "text", "bag" or "tokens".
        precision: "int8", "float16" or "float32".
        provider: short name of the provider that runs the table lookup and the pooling.
        ran_on: names of the nodes by the provider that runs them; empty on the CPU, where there is no other.
        elsewhere: those that run on another provider than `provider`.
    """

    def __init__(
        self, bundle: Bundle, graph: str, precision: str, session: providers.OpenSession, workers: int = 1
    ) -> None:
        self.bundle = bundle
        self.graph = graph
        self.precision = precision
        self.provider = session.provider
        self.ran_on = session.ran_on
        self.elsewhere = {name: nodes for name, nodes in session.ran_on.items() if name != session.provider}
        self._session = session.session
        self._workers = workers  # calls that may run side by side
        bytes_per_value = 1 if precision == "int8" else 4  # float16 rows are widened before they are summed
        self._tokens_per_call = min(max(1, BYTES_PER_CALL // (bundle.dim * bytes_per_value)), MOST_TOKENS_A_CALL)
        # The text graph needs no tokenizer; the others' is read now, so that a damaged file is found at load.
        tokens = None if graph == "text" else self._tokenizer.get_vocab_size()
        _check_parts(bundle, self._session, graph, tokens)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        provider: str | tuple[str, Mapping[str, Any]] = "auto",
        precision: str | None = None,
        graph: str = "auto",
        threads: int | None = None,
        revision: str | None = None,
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

        Raises:
            InputError: no such model, graph or precision.
            ModelFormatError: a file is missing, truncated or foreign.
            ProviderError: the provider is absent, fell back, or has no kernels for the precision.
            MissingExtraError: onnxruntime is not installed; or onnx is not, and the model has no graphs yet.
        """
        if precision is not None and precision not in PRECISIONS:
            raise InputError(f"there is no precision {precision!r}; the precisions are {', '.join(PRECISIONS)}")
        check_count("threads", threads, MOST_THREADS)
        folder = find_folder(model, revision)
        *first, last = providers.candidates(provider)
        for candidate in first:  # only "auto" has more than one
            try:
                return cls._on(candidate, folder, precision, graph, threads)
            except ProviderError as reason:
                warnings.warn(f"{reason} (trying the next provider)", RuntimeWarning, stacklevel=2)
        return cls._on(last, folder, precision, graph, threads)

    @classmethod
    def _on(
        cls, provider: providers.Provider, folder: Path, precision: str | None, graph: str, threads: int | None
    ) -> EdgeModel:
        wanted = _precisions_for(provider, precision)
        bundle = _bundle_in(folder, wanted[0])
        held = next((candidate for candidate in wanted if candidate in bundle.precisions), None)
        if held is None:
            raise ProviderError(
                f"{folder} holds {', '.join(bundle.precisions)}, and {provider.name} was to run {' or '.join(wanted)}: "
                f"edge-potion export {folder} --quantize {wanted[0]}, or use provider='cpu'"
            )
        on_cpu = provider.name == "cpu"
        name, file = bundle.pick(graph, held, on_cpu=on_cpu)
        if name in CPU_GRAPHS and not on_cpu:  # OpenVINO runs it, and gives zeros: it narrows 64-bit integers
            raise ProviderError(
                f"the graph {name!r} runs on the cpu alone, and {folder} holds no other for {provider.name!r}: "
                f"edge-potion export MODEL --graphs bag, or use provider='cpu'"
            )
        check_onnx(bundle.check(file))
        if name == "text":
            # Much of this graph runs on one thread whatever it is given, so calls run side by side instead.
            return cls(bundle, name, held, providers.open_session(file, provider, 1), threads or _cores())
        return cls(bundle, name, held, providers.open_session(file, provider, threads))

    @property
    def dim(self) -> int:
        """D, the width of a vector."""
        return self.bundle.dim

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        batch_size: int = 1024,
        max_tokens: int | Unset | None = UNSET,
        dim: int | None = None,
        show_progress: bool = False,
    ) -> np.ndarray:
        """Vectors of `texts`, in their order.

        Args:
            texts: one text, or any iterable of texts.
            batch_size: most texts that share one ONNX Runtime call.
            max_tokens: where to cut a text; the model's own limit unless given; None means never.
            dim: keep the first `dim` values of each vector, and scale to unit length again where the model does.
            show_progress: a bar on stderr.

        Returns:
            (D,) float32 for a single str, else (B, D) float32; zeros for a text without a known token.

        Raises:
            InputError: an item is not a str or holds a lone surrogate, or an argument is out of range.
        """
        if isinstance(texts, str):
            return self.encode([texts], batch_size=batch_size, max_tokens=max_tokens, dim=dim)[0]
        parts = self.stream(texts, batch_size=batch_size, max_tokens=max_tokens, dim=dim, show_progress=show_progress)
        return np.concatenate([np.empty((0, dim or self.dim), np.float32), *parts])

    def stream(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = 1024,
        max_tokens: int | Unset | None = UNSET,
        dim: int | None = None,
        show_progress: bool = False,
    ) -> Iterator[np.ndarray]:
        """Like `encode`, a window of (b, D) float32 at a time: bounded memory over any number of texts."""
        if isinstance(texts, str | bytes):
            raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
        limit = self.bundle.max_tokens if isinstance(max_tokens, Unset) else max_tokens
        check_count("max_tokens", limit)
        check_count("dim", dim, self.dim)
        if batch_size is None:
            raise InputError("batch_size is None; a whole number of at least 1 expected")
        check_count("batch_size", batch_size)
        try:
            each = iter(texts)
        except TypeError as failure:
            raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected") from failure
        return self._stream(_with_progress(each, show_progress), batch_size, limit, dim)

    def similarity(self, a: str | Iterable[str] | np.ndarray, b: str | Iterable[str] | np.ndarray) -> np.ndarray:
        """Cosine similarity of every item of `a` with every item of `b`; each is texts, or vectors (N, D) float.

        Returns:
            (A, B) float32 in -1..1; a single text or vector drops its axis. A zero vector is similar to nothing: 0.
        """
        left, right = self._directions(a), self._directions(b)
        if left.shape[-1] != right.shape[-1]:
            raise InputError(f"vectors of {left.shape[-1]} and of {right.shape[-1]} dimensions cannot be compared")
        return np.clip(left @ right.T, -1, 1)

    def _directions(self, items: str | Iterable[str] | np.ndarray) -> np.ndarray:
        """(N, D) or (D,) float32 of unit length or zero, however large or small the numbers were."""
        if not (isinstance(items, np.ndarray) and items.dtype.kind == "f"):
            items = self.encode(items)
        if items.ndim not in (1, 2):
            raise InputError(f"vectors of shape {items.shape} cannot be compared; (N, D) or (D,) was expected")
        wide = items.astype(np.float64)
        largest = np.abs(wide).max(axis=-1, keepdims=True, initial=0)
        if not np.isfinite(largest).all():
            raise InputError("vectors hold NaN or inf")
        wide /= np.where(largest > 0, largest, 1)
        return (wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), NORM_EPS)).astype(np.float32)

    def _stream(
        self, texts: Iterable[str], batch_size: int, max_tokens: int | None, dim: int | None
    ) -> Iterator[np.ndarray]:
        done = 0
        # The text graph cuts at the model's own limit; another one is for the tokenizer.
        from_text = self.graph == "text" and max_tokens == self.bundle.max_tokens
        for window in windows(texts):
            if from_text:
                vectors = self._encode_texts(window, batch_size, first=done)
            else:
                vectors = self._encode_ids(tokenize(self._tokenizer, window, max_tokens, first=done), batch_size)
            done += len(window)
            if dim is not None and dim < self.dim:
                vectors = vectors[:, :dim]
                if self.bundle.normalize:
                    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), NORM_EPS)
            yield vectors

    def _encode_texts(self, texts: Sequence[str], batch_size: int, first: int) -> np.ndarray:
        """(b, D) float32 by the text graph; `first` is the number of the first text, for errors."""
        check_texts(texts, first)
        if len(texts) == 1 and len(texts[0]) <= LONGEST_IN_TEXT_GRAPH:  # what a search box asks: no time for the rest
            return self._run({"text": joined(texts, texts, first)})
        characters = np.fromiter(map(len, texts), np.int64, len(texts))
        order = np.argsort(characters, kind="stable")
        order, too_long = np.split(order, [int((characters <= LONGEST_IN_TEXT_GRAPH).sum())])
        tokens = characters[order] // CHARACTERS_A_TOKEN + 1
        vectors = np.empty((len(texts), self.dim), np.float32)  # (b, D)

        def run(places: np.ndarray) -> None:
            some = list(map(texts.__getitem__, places.tolist()))
            vectors[places] = self._run({"text": joined(some, texts, first)})

        calls = [order[begin:end] for begin, end in calls_of(tokens, batch_size, self._tokens_per_call)]
        if len(calls) > 1 and self._workers > 1:
            from concurrent.futures import ThreadPoolExecutor  # who embeds a single text need not wait for it

            with ThreadPoolExecutor(self._workers) as pool:
                list(pool.map(run, calls))
        else:
            for places in calls:
                run(places)
        if len(too_long):
            long_texts = [texts[place].replace("\0", "") for place in too_long]
            try:
                ids = tokenize(self._tokenizer, long_texts, self.bundle.max_tokens)
            except InputError:
                refuse_surrogates(texts, first)  # names the text by its place among all
                raise
            vectors[too_long] = self._encode_ids(ids, batch_size)
        return vectors

    def _encode_ids(self, ids: TokenIds, batch_size: int) -> np.ndarray:
        """(b, D) float32 of token ids."""
        if self.graph == "text":
            return self._from_ids._encode_ids(ids, batch_size) if self._from_ids else self._oracle.pool(ids)
        if len(ids.lengths) == 1 and ids.lengths[0] <= LONGEST_IN_GRAPH:  # a single text, as above
            return self._run(FEEDS[self.graph](ids, np.zeros(1, np.int64)))
        vectors = np.empty((len(ids.lengths), self.dim), np.float32)  # (b, D)
        order = np.argsort(ids.lengths, kind="stable")
        for begin, end in calls_of(ids.lengths[order], batch_size, self._tokens_per_call):
            places = order[begin:end]
            if ids.lengths[places[-1]] > LONGEST_IN_GRAPH:  # such a text is alone in its call
                vectors[places] = self._oracle.pool(ids.take(places))
            else:
                vectors[places] = self._run(FEEDS[self.graph](ids, places))
        return vectors

    def _run(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """(b, D) float32 by one ONNX Runtime call.

        Raises:
            ModelFormatError: a vector holds NaN or inf, as of a table that is damaged or a provider that overflows.
        """
        vectors: np.ndarray = self._session.run(None, feeds)[0]
        # NaN and inf stay in a sum of squares, which takes a tenth of the time of looking at every value.
        if not np.isfinite(np.vdot(vectors, vectors)) and not np.isfinite(vectors).all():
            raise ModelFormatError(
                f"{self.bundle.folder}: the graph {self.graph!r} at {self.precision} gives NaN or inf on "
                f"{self.provider!r}; run `edge-potion verify`, or export the bundle again"
            )
        return vectors

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer."""
        return open_tokenizer(self.bundle.check(self.bundle.folder / "tokenizer.json"))

    @cached_property
    def _from_ids(self) -> EdgeModel | None:
        """Beside the text graph: one of the same bundle and precision that starts from ids, where there is one."""
        held = next((name for name in FEEDS if (name, self.precision) in self.bundle.graphs), None)
        cpu = providers.candidates("cpu")[0]
        return EdgeModel._on(cpu, self.bundle.folder, self.precision, held, self._workers) if held else None

    @cached_property
    def _oracle(self) -> StaticModel:
        """The table in numpy, at the bundle's first precision, for what no graph does: see `_encode_ids`."""
        return StaticModel.from_pretrained(self.bundle.folder)


def _bundle_in(folder: Path, precision: str) -> Bundle:
    """The bundle in `folder`, or the one that was exported from it at `precision` into the cache."""
    if is_bundle(folder):
        return open_bundle(folder)
    from edge_potion.cache import bundle_of  # what it imports is not needed above

    return bundle_of(folder, precision)


def _precisions_for(provider: providers.Provider, precision: str | None) -> list[str]:
    """Precisions to look for in a bundle, best first."""
    runs_int8 = provider.name in providers.INT8_PROVIDERS
    if precision == "int8" and not runs_int8:
        raise ProviderError(
            f"provider {provider.name!r} has no int8 kernels for our graphs (cpu and openvino have): "
            "export with --quantize float16 and load with precision='float16'"
        )
    if precision is not None:
        return [precision]
    return ["int8", "float16", "float32"] if runs_int8 else ["float16", "float32"]


def _check_parts(bundle: Bundle, session: Any, graph: str, tokens: int | None) -> None:
    """Raise ModelFormatError when the graph, config.json and tokenizer.json of a bundle are not of the same model.

    `graph` is the one that the file's name tells; `tokens` are tokenizer.json's, None where it is not read.
    """
    told = session.get_modelmeta().custom_metadata_map
    rows = told.get("tokens")
    if told.get("graph") != graph:
        raise ModelFormatError(
            f"{bundle.folder}: the file of the graph {graph!r} holds {told.get('graph', 'another')!r}; "
            "export the bundle again"
        )
    if graph == "text" and told.get("max_tokens") != json.dumps(bundle.max_tokens):
        raise ModelFormatError(
            f"{bundle.folder}: the text graph cuts at {told.get('max_tokens')} tokens, and config.json says "
            f"{json.dumps(bundle.max_tokens)}; export the bundle again"
        )
    width = session.get_outputs()[0].shape[-1]
    if tokens is None:
        tokens = rows
    if rows != str(tokens) or width != bundle.dim:
        raise ModelFormatError(
            f"{bundle.folder}: the graph is for {rows} tokens and {width} dimensions, tokenizer.json has {tokens} "
            f"tokens and config.json {bundle.dim} dimensions; export the bundle again"
        )


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _with_progress(texts: Iterator[str], show: bool) -> Iterable[str]:
    if not show:
        return texts
    from tqdm import tqdm

    return tqdm(texts, desc="encode", unit=" texts", unit_scale=True)
