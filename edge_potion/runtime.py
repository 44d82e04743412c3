"""EdgeModel: texts -> vectors through ONNX Runtime, from a bundle or any static model folder."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion import providers
from edge_potion.bundle import CPU_GRAPHS, PRECISIONS, Bundle, is_bundle, open_bundle
from edge_potion.calls import FEEDS, beginning, calls_of, grid_feed, joined, side_by_side, windows
from edge_potion.errors import EdgePotionError, InputError, ModelFormatError, ProviderError
from edge_potion.find import BUILT_IN, find_folder
from edge_potion.graph_parts import VECTORS, GraphParts, cut_graph
from edge_potion.onnx_file import check_onnx
from edge_potion.progress import counted, unfailing_stderr
from edge_potion.static_model import NORM_EPS, UNSET, Unset
from edge_potion.tokens import (
    TokenIds,
    check_count,
    check_texts,
    open_tokenizer,
    pad_id,
    prompted,
    refuse_surrogates,
    room,
    tokenize,
    unk_id,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from edge_potion.directions import Comparable

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
# What each graph takes, by ONNX Runtime's names of types, and of how many dimensions.
INPUTS = {
    "text": {"text": ("tensor(uint8)", 1)},
    "bag": {"input_ids": ("tensor(int64)", 1), "offsets": ("tensor(int64)", 1)},
    "tokens": {"input_ids": ("tensor(int64)", 2), "attention_mask": ("tensor(int64)", 2)},
}
COMMIT = re.compile(r"[0-9a-f]{40}")  # what the hub's own cache names the folder of a revision
SENT = "an EdgeModel travels to other processes as the name of its folder, which must hold the same files there"


@dataclass(frozen=True)
class _Opened:
    """What a model holds once it is open: all that it needs for any text, and what opens it elsewhere.

    Attributes:
        bundle: what its folder said.
        graph, precision: of the graph that runs.
        parts: the graph's file.
        session: on it.
        tokenizer_json: content of that file.
        provider, threads: as asked for.
        found_by: absolute path of the folder that was asked for, or a hub id, or None for the built-in model; and the
            revision of a hub id.
    """

    bundle: Bundle
    graph: str
    precision: str
    parts: GraphParts
    session: providers.OpenSession
    tokenizer_json: bytes
    provider: providers.Provider
    threads: int | None
    found_by: tuple[str | None, str | None]


class EdgeModel:
    """A static embedding model that runs in ONNX Runtime. Make one with `EdgeModel.from_pretrained`.

    Safe to use from many threads at once. Once it is open it needs its folder no more: whatever becomes of that, the
    vectors stay those of the model that was loaded.

    It can be pickled and sent to other processes, where it is opened again from its folder, by name from the hub, or
    from the package: ModelFormatError where other files are found. A copy is the model itself: nothing in it changes.

    Attributes:
        bundle: the folder it was loaded from.
        graph: which graph runs, "text", "bag" or "tokens".
        precision: "int8", "float16" or "float32".
        provider: short name of the provider that runs the table lookup and the pooling.
        ran_on: names of the nodes by the provider that runs them; empty on the CPU, where there is no other.
        elsewhere: those that run on another provider than `provider`.
    """

    def __init__(self, opened: _Opened | Any = None, *_: Any, **__: Any) -> None:
        if not isinstance(opened, _Opened):
            given = repr(opened) if isinstance(opened, str) else "MODEL"
            raise InputError(f"a model is opened by EdgeModel.from_pretrained({given}), and not by EdgeModel itself")
        session, bundle = opened.session, opened.bundle
        self.bundle = bundle
        self.graph = opened.graph
        self.precision = opened.precision
        self.provider = session.provider
        self.ran_on = session.ran_on
        self.elsewhere = {name: nodes for name, nodes in session.ran_on.items() if name != session.provider}
        self._opened = opened
        self._session = session.session
        # Much of the text graph runs on one thread whatever it is given, so calls run side by side instead.
        self._workers = (opened.threads or _cores()) if self.graph == "text" else 1
        bytes_per_value = 1 if self.precision == "int8" else 4  # float16 rows are widened before they are summed
        self._tokens_per_call = min(max(1, BYTES_PER_CALL // (bundle.dim * bytes_per_value)), MOST_TOKENS_A_CALL)
        self._whole = min(room(bundle.max_tokens), LONGEST_IN_TEXT_GRAPH)  # characters of a text that is never cut here
        # The text graph needs no tokenizer; the others' is read now, so that a damaged file is found at load.
        tokens = None if self.graph == "text" else self._tokenizer.get_vocab_size()
        _check_parts(bundle, self._session, self.graph, tokens)

    def __repr__(self) -> str:
        return (
            f"EdgeModel({self._opened.found_by[0] or BUILT_IN!r}, graph={self.graph!r}, precision={self.precision!r}, "
            f"provider={self.provider!r}, dim={self.dim})"
        )

    def __copy__(self) -> EdgeModel:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> EdgeModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        opened = self._opened
        options = tuple(opened.provider.options.items())
        asked = (*opened.found_by, opened.provider.name, options, opened.threads)
        return _opened_again, (*asked, self.graph, self.precision, self._fingerprint)

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
        found_by = _name_elsewhere(model, revision, folder)
        *first, last = providers.candidates(provider)
        for candidate in first:  # only "auto" has more than one
            try:
                return cls._on(candidate, folder, precision, graph, threads, found_by)
            except ProviderError as reason:
                with unfailing_stderr():
                    warnings.warn(f"{reason} (trying the next provider)", RuntimeWarning, stacklevel=2)
        return cls._on(last, folder, precision, graph, threads, found_by)

    @classmethod
    def _on(
        cls,
        provider: providers.Provider,
        folder: Path,
        precision: str | None,
        graph: str,
        threads: int | None,
        found_by: tuple[str | None, str | None],
    ) -> EdgeModel:
        wanted = _precisions_for(provider, precision)
        bundle = _bundle_in(folder, wanted[0])
        held = next((candidate for candidate in wanted if candidate in bundle.precisions), None)
        if held is None:
            raise ProviderError(
                f"{folder} holds {', '.join(bundle.precisions)}, and {provider.name} was to run {' or '.join(wanted)}: "
                f"edge-potion export {folder} --quantize {wanted[0]}{_or_else(provider, bundle)}"
            )
        on_cpu = provider.name == "cpu"
        name, file = bundle.pick(graph, held, on_cpu=on_cpu)
        if name in CPU_GRAPHS and not on_cpu:  # OpenVINO runs it, and gives zeros: it narrows 64-bit integers
            others = [other for other, at in bundle.graphs if at == held and other not in CPU_GRAPHS]
            raise ProviderError(
                f"the graph {name!r} runs on the cpu alone, and {provider.name!r} was asked for: "
                + (f"use graph={others[0]!r}, " if others else f"edge-potion export {folder} --graphs bag, ")
                + "or provider='cpu'"
            )
        # Read once: what is held to the manifest and looked at is what runs, whatever becomes of the files.
        content = bundle.read(file)
        check_onnx(file, content)
        parts = cut_graph(content, name)
        within_a_call = 1 if name == "text" else threads
        if on_cpu:
            session = providers.open_session(parts.rest, parts.tensors, str(file), provider, within_a_call)
        else:
            session = providers.open_session(content, {}, str(file), provider, within_a_call)
        tokenizer_json = bundle.read(bundle.folder / "tokenizer.json")
        return cls(_Opened(bundle, name, held, parts, session, tokenizer_json, provider, threads, found_by))

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
        truncate_dim: int | None = None,
        prompt: str | None = None,
        show_progress: bool = False,
    ) -> np.ndarray:
        """Vectors of `texts`, in their order.

        Args:
            texts: one text, or any iterable of texts.
            batch_size: most texts that share one ONNX Runtime call.
            max_tokens: where to cut a text; the model's own limit unless given; None means never.
            truncate_dim: keep the first values of each vector, and scale to unit length again where the model does.
            prompt: what stands before every text; the model's default prompt unless given, "" for nothing.
            show_progress: a bar on stderr.

        Returns:
            (D,) float32 for a single str, else (B, D) float32; zeros for a text without a known token.

        Raises:
            InputError: an item is not a str or holds a lone surrogate, or an argument is out of range.
        """
        if isinstance(texts, str):
            return self.encode(
                [texts], batch_size=batch_size, max_tokens=max_tokens, truncate_dim=truncate_dim, prompt=prompt
            )[0]
        parts = self.stream(
            texts,
            batch_size=batch_size,
            max_tokens=max_tokens,
            truncate_dim=truncate_dim,
            prompt=prompt,
            show_progress=show_progress,
        )
        return np.concatenate([np.empty((0, truncate_dim or self.dim), np.float32), *parts])

    def stream(
        self,
        texts: Iterable[str],
        *,
        batch_size: int = 1024,
        max_tokens: int | Unset | None = UNSET,
        truncate_dim: int | None = None,
        prompt: str | None = None,
        show_progress: bool = False,
    ) -> Iterator[np.ndarray]:
        """Like `encode`, a window of (b, D) float32 at a time: bounded memory over any number of texts."""
        if isinstance(texts, str | bytes):
            raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected")
        limit = self.bundle.max_tokens if isinstance(max_tokens, Unset) else max_tokens
        check_count("max_tokens", limit)
        check_count("truncate_dim", truncate_dim, self.dim)
        if batch_size is None:
            raise InputError("batch_size is None; a whole number of at least 1 expected")
        check_count("batch_size", batch_size)
        try:
            each = iter(texts)
        except TypeError as failure:
            raise InputError(f"texts is {type(texts).__name__}; an iterable of str was expected") from failure
        if not isinstance(prompt, str | None):
            raise InputError(f"prompt is {type(prompt).__name__}; a str, or None for the model's own, was expected")
        vectors = self._stream(each, batch_size, limit, truncate_dim, self.bundle.prompt if prompt is None else prompt)
        return counted(vectors, show_progress, len, desc="encode", unit=" texts", unit_scale=True)

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

    def _stream(
        self, texts: Iterable[str], batch_size: int, max_tokens: int | None, dim: int | None, prompt: str
    ) -> Iterator[np.ndarray]:
        done = 0
        # The text graph cuts at the model's own limit; another one is for the tokenizer.
        from_text = self.graph == "text" and max_tokens == self.bundle.max_tokens
        for bare in windows(texts):
            window = prompted(bare, prompt, done)
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
        if len(texts) == 1 and len(texts[0]) <= self._whole:  # what a search box asks: no time for the rest
            return self._run({"text": joined(texts, texts, first)}, 1)
        characters = np.fromiter(map(len, texts), np.int64, len(texts))
        if characters.max() > self._whole:
            texts = self._beginnings(texts, first)
            characters = np.fromiter(map(len, texts), np.int64, len(texts))
        order = np.argsort(characters, kind="stable")
        order, too_long = np.split(order, [int((characters <= LONGEST_IN_TEXT_GRAPH).sum())])
        tokens = characters[order] // CHARACTERS_A_TOKEN + 1
        vectors = np.empty((len(texts), self.dim), np.float32)  # (b, D)

        def run(places: np.ndarray) -> None:
            some = list(map(texts.__getitem__, places.tolist()))
            vectors[places] = self._run({"text": joined(some, texts, first)}, len(some))

        calls = [order[begin:end] for begin, end in calls_of(tokens, batch_size, self._tokens_per_call)]
        side_by_side(run, calls, self._workers)
        if len(too_long):
            long_texts = [texts[place].replace("\0", "") for place in too_long]
            ids = tokenize(self._tokenizer, long_texts, self.bundle.max_tokens)
            vectors[too_long] = self._encode_ids(ids, batch_size)
        return vectors

    def _beginnings(self, texts: Sequence[str], first: int) -> Sequence[str]:
        """The texts; of long ones no more than is kept, where that shows without a tokenizer."""
        refuse_surrogates(texts, first)  # in what is cut off too
        limit = self.bundle.max_tokens
        if limit is None:
            return texts
        return [text if len(text) <= self._whole else beginning(text, limit, LONGEST_IN_TEXT_GRAPH) for text in texts]

    def _encode_ids(self, ids: TokenIds, batch_size: int) -> np.ndarray:
        """(b, D) float32 of token ids."""
        if len(ids.lengths) == 1 and ids.lengths[0] <= LONGEST_IN_GRAPH:  # a single text, as above
            return self._run_ids(ids, np.zeros(1, np.int64))
        vectors = np.empty((len(ids.lengths), self.dim), np.float32)  # (b, D)
        order = np.argsort(ids.lengths, kind="stable")
        for begin, end in calls_of(ids.lengths[order], batch_size, self._tokens_per_call):
            places = order[begin:end]
            if ids.lengths[places[-1]] > LONGEST_IN_GRAPH:  # such a text is alone in its call
                vectors[places] = self._sum_of_parts(ids.take(places))
            else:
                vectors[places] = self._run_ids(ids, places)
        return vectors

    def _run_ids(self, ids: TokenIds, places: np.ndarray) -> np.ndarray:
        """(b, D) float32 of the texts at `places`, by one call."""
        if self.graph == "text":
            return self._checked(self._run_half(self._half, ids, places), len(places))
        return self._run(FEEDS[self.graph](ids, places), len(places))

    def _sum_of_parts(self, ids: TokenIds) -> np.ndarray:
        """(1, D) float32 of a text of more tokens than a graph sums exactly."""
        dropped = [each for each in (pad_id(self._tokenizer), unk_id(self._tokenizer)) if each is not None]
        total, known = np.zeros((1, self.dim)), 0  # float64
        for begin in range(0, len(ids.flat), LONGEST_IN_GRAPH):
            flat = ids.flat[begin : begin + LONGEST_IN_GRAPH]
            part = TokenIds(flat, np.array([len(flat)]))
            count = int((~np.isin(flat, dropped)).sum())
            # A sum, or else a mean over the tokens that are known.
            total += self._run_half(self._half_to_sums, part, np.zeros(1, np.int64)) * (
                1.0 if self.bundle.normalize else count
            )
            known += count
        total /= max(float(np.linalg.norm(total)), NORM_EPS) if self.bundle.normalize else max(known, 1)
        return self._checked(total.astype(np.float32), 1)

    def _run_half(self, half: providers.OpenSession, ids: TokenIds, places: np.ndarray) -> np.ndarray:
        table = self._opened.parts.table
        assert table is not None  # a graph without one has no half
        dtype = np.int32 if self.graph == "text" else np.int64
        grid = grid_feed(ids, places, len(table) - 1, dtype)
        (taken,) = half.session.get_inputs()
        return self._called(half.session, None, {taken.name: grid})

    def _run(self, feeds: Mapping[str, np.ndarray], texts: int) -> np.ndarray:
        """(b, D) float32 of so many texts by one ONNX Runtime call.

        Raises:
            ModelFormatError: the graph fails, gives another number of vectors, or NaN or inf, as of a table that is
                damaged or a provider that overflows.
        """
        return self._checked(self._called(self._session, [VECTORS], feeds), texts)

    def _called(self, session: Any, outputs: Sequence[str] | None, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        try:
            vectors: np.ndarray = session.run(outputs, feeds)[0]
        except Exception as failure:  # onnxruntime's own exceptions share no base class
            raise ModelFormatError(
                f"{self._named} fails on {self.provider!r} ({_first_line(failure)}); run `edge-potion verify`, or "
                "export the bundle again"
            ) from failure
        return vectors

    def _checked(self, vectors: np.ndarray, texts: int) -> np.ndarray:
        if vectors.shape != (texts, self.dim):
            raise ModelFormatError(
                f"{self._named} gives {vectors.shape}, where {(texts, self.dim)} was expected; export the bundle again"
            )
        # NaN and inf stay in a sum of squares, which takes a tenth of the time of looking at every value.
        if not np.isfinite(np.vdot(vectors, vectors)) and not np.isfinite(vectors).all():
            raise ModelFormatError(
                f"{self._named} gives NaN or inf on {self.provider!r}; run `edge-potion verify`, or export the bundle "
                "again"
            )
        return vectors

    @property
    def _named(self) -> str:
        return f"{self.bundle.folder}: the graph {self.graph!r} at {self.precision}"

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer."""
        return open_tokenizer(self.bundle.folder / "tokenizer.json", self._opened.tokenizer_json)

    @cached_property
    def _half(self) -> providers.OpenSession:
        """The half of the graph that starts from ids, for what the text graph does not take: see `_encode_texts`."""
        return self._open_half(as_sums=False)

    @cached_property
    def _half_to_sums(self) -> providers.OpenSession:
        """The same up to sums that add up, for texts of very many tokens."""
        return self._open_half(as_sums=self.bundle.normalize)

    def _open_half(self, *, as_sums: bool) -> providers.OpenSession:
        from edge_potion.second_half import second_half

        parts, cpu = self._opened.parts, providers.candidates("cpu")[0]
        half = second_half(parts, self._named, as_sums=as_sums)
        return providers.open_session(half, parts.tensors, self._named, cpu, self._opened.threads)

    @cached_property
    def _fingerprint(self) -> str:
        """Of what makes the vectors: the graph and the tokenizer."""
        import hashlib

        return hashlib.sha256(self._opened.parts.content + self._opened.tokenizer_json).hexdigest()


@lru_cache(maxsize=1)  # a pool sends the same model with every task
def _opened_again(
    name: str | None,
    revision: str | None,
    provider: str,
    options: tuple[tuple[str, Any], ...],
    threads: int | None,
    graph: str,
    precision: str,
    fingerprint: str,
) -> EdgeModel:
    """A model that was sent, in the process that it was sent to."""
    try:
        model = EdgeModel.from_pretrained(
            name,
            provider=(provider, dict(options)),
            precision=precision,
            graph=graph,
            threads=threads,
            revision=revision,
        )
    except EdgePotionError as reason:
        raise ModelFormatError(f"{name or BUILT_IN} cannot be opened again: {reason} ({SENT})") from reason
    if model._fingerprint != fingerprint:
        raise ModelFormatError(f"{name or BUILT_IN} was replaced or changed since the model was loaded ({SENT})")
    return model


def _name_elsewhere(model: str | Path | None, revision: str | None, folder: Path) -> tuple[str | None, str | None]:
    """Name and revision that `folder`, which was found for `model`, is found by from anywhere."""
    if folder == find_folder(None):
        return None, None
    if Path(str(model)).expanduser().is_dir():
        return str(folder.resolve()), None
    return str(model), folder.name if COMMIT.fullmatch(folder.name) else revision


def _or_else(provider: providers.Provider, bundle: Bundle) -> str:
    """What may be done instead of exporting a precision that the bundle does not hold."""
    runs = [precision for precision in _precisions_for(provider, None) if precision in bundle.precisions]
    if runs:
        return f", or use precision={runs[0]!r}"
    return "" if provider.name == "cpu" else ", or use provider='cpu'"


def _first_line(failure: Exception) -> str:
    lines = str(failure).strip().splitlines() or [type(failure).__name__]
    return lines[0][:300]


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
            f"provider {provider.name!r} has no int8 kernels for our graphs (cpu and openvino have): load with "
            "precision='float16', and where the bundle holds none, export with --quantize float16"
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
    _check_ends(bundle, session, graph)
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


def _check_ends(bundle: Bundle, session: Any, graph: str) -> None:
    """Raise ModelFormatError when a graph takes or gives something else than graphs of its name do."""
    taken = {each.name: (each.type, len(each.shape)) for each in session.get_inputs()}
    fixed = [size for each in session.get_inputs() for size in each.shape if isinstance(size, int)]
    first = session.get_outputs()[0]
    if taken != INPUTS[graph] or fixed:
        found = ", ".join(f"{each.name} {each.type} {each.shape}" for each in session.get_inputs())
        raise ModelFormatError(f"{bundle.folder}: the graph {graph!r} takes {found[:300]}; export the bundle again")
    if (first.name, first.type, len(first.shape)) != (VECTORS, "tensor(float)", 2):
        raise ModelFormatError(
            f"{bundle.folder}: the graph {graph!r} gives {first.name[:100]} {first.type} {first.shape}, where "
            f"{VECTORS} tensor(float) (texts, {bundle.dim}) was expected; export the bundle again"
        )


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
