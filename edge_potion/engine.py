"""The native engine (native/): texts -> vectors and logits by the text graph's own file, with ONNX Runtime's bits."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from functools import cache
from mmap import mmap
from pathlib import Path
from typing import Any, cast

import numpy as np

from edge_potion.calls import cores
from edge_potion.checked_texts import refuse_surrogates
from edge_potion.errors import EngineError, InputError, ModelFormatError
from edge_potion.tokens import TokenIds

__all__ = ["Engine", "absent", "kernels", "scan_function"]

SWITCH = "EDGE_POTION_NATIVE"  # "0" leaves the engine out
FOLDER = "native"  # inside the package
NAMES = {"win32": "edge_potion.dll", "darwin": "libedge_potion.dylib"}
CANNOT_READ, DAMAGED, NOT_OURS, OUT_OF_MEMORY, STOPPED = -1, -2, -3, -5, -6  # ep_status
MODEL_LIMIT, NO_LIMIT = 0, -1
# A call on more takes some milliseconds, and is made in a thread beside, so that this one hears Ctrl-C.
BYTES_AT_ONCE = 1 << 20
SECONDS_BETWEEN_LOOKS = 0.02

handle, text, size, int32, int64 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, ctypes.c_int64
float32 = ctypes.c_float
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ep_kernels": (text, []),
    "ep_last_error": (text, []),
    "ep_open": (handle, [text]),
    "ep_open_memory": (handle, [handle, size]),
    "ep_last_status": (int32, []),
    "ep_close": (None, [handle]),
    "ep_dim": (int32, [handle]),
    "ep_max_tokens": (int32, [handle]),
    "ep_vocabulary_size": (int32, [handle]),
    "ep_precision": (text, [handle]),
    "ep_embed": (int64, [handle, text, size, handle, size, int32, int32]),
    "ep_embed_texts": (int64, [handle, handle, handle, size, handle, int32, int32]),
    "ep_embed_ids": (int64, [handle, handle, handle, size, handle, int32]),
    "ep_label_count": (int32, [handle]),
    "ep_classify": (int64, [handle, text, size, handle, handle, size, int32, int32]),
    "ep_classify_texts": (int64, [handle, handle, handle, size, handle, handle, int32, int32]),
    "ep_scan": (int32, [handle, size, size, handle, handle, float32, handle]),
    "ep_stop": (None, [handle]),
}
# The cheapest way to an array's address.
first_of: Callable[[Any], Any] = ctypes.byref
char: Callable[[Any], Any] = ctypes.c_char.from_buffer


def absent() -> str | None:
    """Why there is no engine here; None where there is one."""
    if os.environ.get(SWITCH) == "0":
        return f"it is switched off by {SWITCH}=0"
    if _library():
        return None
    if _files():
        return f"{_files()[0]} cannot be loaded: it is of another system or version; install edge-potion again"
    return "it was not built when edge-potion was installed (that takes a C++17 compiler)"


def kernels() -> str:
    """The kernels that it takes on this processor: "avx2", "neon", ...; only where it is not `absent`."""
    library = _library()
    assert library is not None
    return str(library.ep_kernels().decode())


def scan_function() -> Callable[..., int]:
    """ep_scan(), whose arguments are addresses and sizes; only where the engine is not `absent`."""
    library = _library()
    assert library is not None
    return cast("Callable[..., int]", library.ep_scan)


def _files() -> list[Path]:
    """Where the library lies, in the order in which it is looked for."""
    import edge_potion

    name = NAMES.get(sys.platform, "libedge_potion.so")
    places = (Path(place) / FOLDER / name for place in edge_potion.__path__)  # of an editable install, two
    return [file for file in places if file.is_file()]


@cache
def _library() -> ctypes.CDLL | None:
    for file in _files():
        try:
            library = ctypes.CDLL(str(file))
            for name, (result, arguments) in FUNCTIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):  # damaged, or a function is not there
            continue
        return library
    return None


class Engine:
    """An open text graph. Safe to use from many threads at once.

    Args:
        graph: its file, which is mapped and must not be written into; or what it holds, which is used where it lies.
        threads: most that share a call; None means one a core.
        told: what errors call the graph.

    Attributes:
        dim: D, the width of a vector.
        max_tokens: where a text is cut; None means never.
        tokens: V: ids of tokens are 0..V-1.
        precision: "int8", "float16" or "float32".
        labels: C of a classifier; 0 where the model is none.

    Raises:
        EngineError: there is no engine here, or the graph is of another making than the engine knows.
        ModelFormatError: the file is missing or damaged.
    """

    def __init__(self, graph: Path | bytes | mmap, threads: int | None = None, told: str = "the graph") -> None:
        library = _library()
        if library is None or absent():
            raise EngineError(f"there is no native engine here: {absent()}")
        self._library, self._embed, self._classify = library, library.ep_embed, library.ep_classify
        self._graph = graph  # kept, as it is not copied
        self._told = told
        self._threads = threads or cores()
        if isinstance(graph, Path):
            self._model = library.ep_open(os.fsencode(graph))
        else:
            held = np.frombuffer(graph, np.uint8)
            self._model = library.ep_open_memory(held.ctypes.data, len(held))
        if not self._model:
            raise self._failure(library.ep_last_status())
        self.dim: int = library.ep_dim(self._model)
        limit = library.ep_max_tokens(self._model)
        self.max_tokens: int | None = None if limit == NO_LIMIT else limit
        self.tokens: int = library.ep_vocabulary_size(self._model)
        self.precision: str = library.ep_precision(self._model).decode()
        self.labels: int = library.ep_label_count(self._model)

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self._library.ep_close(self._model)
            self._model = None

    def encode_one(self, text: str) -> np.ndarray:
        """(D,) float32 of a text, cut where the model cuts; `encode` without what one text does not need."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            refuse_surrogates([text])
            raise
        if len(data) <= BYTES_AT_ONCE:
            vector = np.empty(self.dim, np.float32)
            if self._embed(self._model, data, len(data), first_of(char(vector)), 1, MODEL_LIMIT, 1) == 1:
                return vector
        return self.encode([text], 1, self.max_tokens)[0]  # whatever was wrong, as NUL in it: it is told there

    def encode(self, texts: Sequence[str], batch_size: int, max_tokens: int | None) -> np.ndarray:
        """(b, D) float32 of texts that were checked, each cut at `max_tokens` (None: never), in one call.

        Raises:
            InputError: a text holds a lone surrogate.
            ModelFormatError: the table gives NaN or inf.
        """
        vectors = np.empty((len(texts), self.dim), np.float32)
        if len(texts):
            room = first_of(char(vectors))

            def call(data: bytes, limit: int) -> int:
                return self._embed(self._model, data, len(data), room, len(texts), limit, self._threads)

            def by_place(begins: int, lengths: int, limit: int) -> int:
                places = (begins, lengths, len(texts), room)
                return int(self._library.ep_embed_texts(self._model, *places, limit, self._threads))

            self._run_joined(call, by_place, texts, max_tokens)
        return vectors

    def classify_one(self, text: str) -> np.ndarray:
        """(C,) float32 of a text, cut where the model cuts; `classify` without what one text does not need."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            refuse_surrogates([text])
            raise
        if len(data) <= BYTES_AT_ONCE and self.labels:
            logits = np.empty(self.labels, np.float32)
            if self._classify(self._model, data, len(data), first_of(char(logits)), None, 1, MODEL_LIMIT, 1) == 1:
                return logits
        return self.classify([text], self.max_tokens)[0][0]  # whatever was wrong, as NUL in it: it is told there

    def classify(
        self, texts: Sequence[str], max_tokens: int | None, *, with_vectors: bool = False
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Logits (B, C) float32 of texts that were checked, and their vectors (B, D) where these are asked for.

        Args:
            texts: each is cut at `max_tokens`, and at 32,768 tokens at the latest.
            max_tokens: None means at the latest.
            with_vectors: whether to give vectors, too.

        Raises:
            InputError: a text holds a lone surrogate, or the model is no classifier.
            ModelFormatError: the table gives NaN or inf.
        """
        if not self.labels:
            raise InputError(f"{self._told} holds no head: the model is no classifier")
        logits = np.empty((len(texts), self.labels), np.float32)
        vectors = np.empty((len(texts), self.dim), np.float32) if with_vectors else None
        if len(texts):
            room = first_of(char(logits))
            more = None if vectors is None else first_of(char(vectors))

            def call(data: bytes, limit: int) -> int:
                return self._classify(self._model, data, len(data), room, more, len(texts), limit, self._threads)

            def by_place(begins: int, lengths: int, limit: int) -> int:
                places = (begins, lengths, len(texts), room, more)
                return int(self._library.ep_classify_texts(self._model, *places, limit, self._threads))

            self._run_joined(call, by_place, texts, max_tokens)
        return logits, vectors

    def encode_utf8(self, address: int, offsets: np.ndarray, max_tokens: int | None) -> np.ndarray:
        """(b, D) float32 of texts where they lie, as in an Arrow array of strings: no str is made of them.

        Args:
            address: of their bytes, UTF-8 that was checked.
            offsets: (b + 1,) int64, where each begins; the last is where they end.
            max_tokens: where to cut; None means never.

        Raises:
            ModelFormatError: the table gives NaN or inf.
        """
        vectors = np.empty((len(offsets) - 1, self.dim), np.float32)
        begins, lengths = (offsets[:-1] + address).astype(np.uintp), np.diff(offsets).astype(np.uintp)
        limit = NO_LIMIT if max_tokens is None else min(max_tokens, 2**31 - 1)

        def call() -> int:
            places = (begins.ctypes.data, lengths.ctypes.data, len(lengths), vectors.ctypes.data)
            return int(self._library.ep_embed_texts(self._model, *places, limit, self._threads))

        self._run(call, int(offsets[-1] - offsets[0]))
        return vectors

    def encode_ids(self, ids: TokenIds, batch_size: int) -> np.ndarray:
        """(b, D) float32 of ids in 0..V-1, in one call."""
        flat, lengths = ids.flat.astype(np.int32), ids.lengths.astype(np.uintp)
        vectors = np.empty((len(lengths), self.dim), np.float32)

        def call() -> int:
            places = (flat.ctypes.data, lengths.ctypes.data, len(lengths), vectors.ctypes.data)
            return int(self._library.ep_embed_ids(self._model, *places, self._threads))

        self._run(call, flat.nbytes)
        return vectors

    def _run_joined(
        self,
        call: Callable[[bytes, int], int],
        by_place: Callable[[int, int, int], int],
        texts: Sequence[str],
        max_tokens: int | None,
    ) -> None:
        """Make a call of texts with NUL between them, and of where to cut each; by their places where one holds NUL."""
        try:
            data = "\0".join(texts).encode()
        except UnicodeEncodeError:
            refuse_surrogates(texts)
            raise
        limit = NO_LIMIT if max_tokens is None else min(max_tokens, 2**31 - 1)
        try:
            self._run(lambda: call(data, limit), len(data))
        except InputError:  # more texts than there is room for: one holds NUL, too rare to look for it before
            encoded = [text.encode() for text in texts]
            data = b"".join(encoded)
            lengths = np.fromiter(map(len, encoded), np.uintp, len(encoded))
            begins = np.frombuffer(data, np.uint8).ctypes.data + np.cumsum(lengths) - lengths if data else lengths
            begins = begins.astype(np.uintp)
            self._run(lambda: by_place(begins.ctypes.data, lengths.ctypes.data, limit), len(data))

    def _run(self, call: Callable[[], int], size_bytes: int) -> None:
        """Make a call, again where another thread's Ctrl-C stopped all of the model's."""
        if size_bytes < BYTES_AT_ONCE:
            while (answer := call()) == STOPPED:
                pass
            if answer < 0:
                raise self._failure(answer)
            return
        from threading import Thread, current_thread, main_thread

        failures: list[Exception] = []
        ours = False  # whether it is this call that is to be stopped

        def work() -> None:
            while (answer := call()) == STOPPED and not ours:
                pass
            if answer < 0:  # looked at here, as the engine keeps a sentence for each thread
                failures.append(self._failure(answer))

        worker = Thread(target=work, daemon=True)
        try:
            if current_thread() is not main_thread():  # which alone hears Ctrl-C
                raise RuntimeError
            worker.start()
        except RuntimeError:  # or the system gives no thread, or the interpreter is about to end
            work()
        else:
            try:
                while worker.is_alive():
                    worker.join(SECONDS_BETWEEN_LOOKS)
            except BaseException:
                ours = True
                while worker.is_alive():  # it writes into arrays that end with this call
                    self._library.ep_stop(self._model)
                    worker.join(SECONDS_BETWEEN_LOOKS)
                raise
        if failures:
            raise failures[0]

    def _failure(self, status: int) -> Exception:
        sentence = self._library.ep_last_error().decode("utf-8", "replace")
        if status == OUT_OF_MEMORY:
            return MemoryError(sentence)
        if status == NOT_OURS:
            return EngineError(f"{self._told}: {sentence}")
        if status in (CANNOT_READ, DAMAGED):
            return ModelFormatError(f"{self._told} is no graph of ours: {sentence}; download or export it again")
        return InputError(sentence)
