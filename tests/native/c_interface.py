"""The C interface by ctypes, as any program calls it: bytes and addresses in, vectors or a sentence out."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import edge_potion

MODEL_LIMIT, NO_LIMIT, NO_LABEL = 0, -1, -1
CANNOT_READ, DAMAGED, NOT_OURS, BAD_ARGUMENT, STOPPED = -1, -2, -3, -4, -6
FUNCTIONS = {
    "ep_version": (c_char_p, []),
    "ep_kernels": (c_char_p, []),
    "ep_last_error": (c_char_p, []),
    "ep_last_status": (c_int32, []),
    "ep_open": (c_void_p, [c_char_p]),
    "ep_open_memory": (c_void_p, [c_void_p, c_size_t]),
    "ep_close": (None, [c_void_p]),
    "ep_dim": (c_int32, [c_void_p]),
    "ep_max_tokens": (c_int32, [c_void_p]),
    "ep_vocabulary_size": (c_int32, [c_void_p]),
    "ep_embed": (c_int64, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_int32, c_int32]),
    "ep_embed_texts": (c_int64, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_int32, c_int32]),
    "ep_embed_ids": (c_int64, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_int32]),
    "ep_token_ids": (c_int64, [c_void_p, c_void_p, c_size_t, c_int32, c_void_p, c_size_t]),
    "ep_label_count": (c_int32, [c_void_p]),
    "ep_label": (c_char_p, [c_void_p, c_int32]),
    "ep_classify": (c_int64, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t, c_int32, c_int32]),
    "ep_classify_texts": (c_int64, [*[c_void_p] * 3, c_size_t, c_void_p, c_void_p, c_int32, c_int32]),
    "ep_probabilities": (c_int64, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "ep_scan": (c_int32, [c_void_p, c_size_t, c_size_t, c_void_p, c_void_p, c_float, c_void_p]),
    "ep_stop": (None, [c_void_p]),
}


class Refused(Exception):
    """What the engine said no with: ep_status, and its sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status}: {sentence}")
        self.status, self.sentence = status, sentence


@cache
def library() -> ctypes.CDLL | None:
    """That of this install; None where it was built without."""
    for folder in edge_potion.__path__:
        for file in (Path(folder) / "native").glob("*edge_potion.*"):
            opened = ctypes.CDLL(str(file))
            for name, (result, arguments) in FUNCTIONS.items():
                function = getattr(opened, name)
                function.restype, function.argtypes = result, arguments
            return opened
    return None


@dataclass(frozen=True)
class Classified:
    """B texts: logits (B, C) float32, and their vectors (B, D) where these were asked for."""

    logits: np.ndarray
    vectors: np.ndarray | None


@dataclass(frozen=True)
class Decided:
    """B texts: probabilities (B, C) float32, and the label of each (B,) int64."""

    probabilities: np.ndarray
    labels: np.ndarray


class Native:
    """An open model."""

    def __init__(self, file: Path | bytes | tuple[int, int]) -> None:
        """A file by its path, by its bytes, or by the address of these and their number."""
        there = library()
        assert there is not None
        self.library, self.file = there, file
        if isinstance(file, Path):
            self.handle = there.ep_open(bytes(file))
        else:
            address, size = (address_of(file), len(file)) if isinstance(file, bytes) else file
            self.handle = there.ep_open_memory(address, size)
        if not self.handle:
            raise Refused(there.ep_last_status(), there.ep_last_error().decode())
        self.dim: int = there.ep_dim(self.handle)
        self.vocabulary_size: int = there.ep_vocabulary_size(self.handle)
        self.max_tokens: int = there.ep_max_tokens(self.handle)
        self.labels: int = there.ep_label_count(self.handle)

    def close(self) -> None:
        self.library.ep_close(self.handle)

    def embed(self, joined: bytes, max_tokens: int = MODEL_LIMIT, threads: int = 1) -> np.ndarray:
        """(texts, D) float32 of texts with NUL between them."""
        return self.embed_at(address_of(joined), len(joined), joined.count(b"\0") + 1, max_tokens, threads)

    def embed_at(
        self, address: int, size: int, count: int, max_tokens: int = MODEL_LIMIT, threads: int = 1
    ) -> np.ndarray:
        vectors = np.full((count, self.dim), np.nan, np.float32)
        answer = self.library.ep_embed(self.handle, address, size, vectors.ctypes.data, count, max_tokens, threads)
        assert self._checked(answer) == count
        return vectors

    def embed_texts(self, texts: Sequence[bytes], max_tokens: int = MODEL_LIMIT, threads: int = 1) -> np.ndarray:
        places = (c_char_p * len(texts))(*texts)
        lengths = np.array([len(text) for text in texts], np.uintp)
        vectors = np.full((len(texts), self.dim), np.nan, np.float32)
        answer = self.library.ep_embed_texts(
            self.handle, places, lengths.ctypes.data, len(texts), vectors.ctypes.data, max_tokens, threads
        )
        assert self._checked(answer) == len(texts)
        return vectors

    def embed_ids(self, flat: np.ndarray, lengths: np.ndarray, threads: int = 1) -> np.ndarray:
        flat, lengths = np.ascontiguousarray(flat, np.int32), np.ascontiguousarray(lengths, np.uintp)
        vectors = np.full((len(lengths), self.dim), np.nan, np.float32)
        answer = self.library.ep_embed_ids(
            self.handle, flat.ctypes.data, lengths.ctypes.data, len(lengths), vectors.ctypes.data, threads
        )
        assert self._checked(answer) == len(lengths)
        return vectors

    def label(self, number: int) -> str | None:
        name = self.library.ep_label(self.handle, number)
        return None if name is None else name.decode()

    def classify(
        self, joined: bytes, max_tokens: int = MODEL_LIMIT, threads: int = 1, *, with_vectors: bool = False
    ) -> Classified:
        """Of texts with NUL between them."""
        room = self._room(joined.count(b"\0") + 1, with_vectors)
        places = (address_of(joined), len(joined), *map(_place, (room.logits, room.vectors)), len(room.logits))
        answer = self.library.ep_classify(self.handle, *places, max_tokens, threads)
        assert self._checked(answer) == len(room.logits)
        return room

    def classify_texts(
        self, texts: Sequence[bytes], max_tokens: int = MODEL_LIMIT, threads: int = 1, *, with_vectors: bool = False
    ) -> Classified:
        room, places = self._room(len(texts), with_vectors), (c_char_p * len(texts))(*texts)
        lengths = np.array([len(text) for text in texts], np.uintp)
        rest = (len(texts), *map(_place, (room.logits, room.vectors)), max_tokens, threads)
        answer = self.library.ep_classify_texts(self.handle, places, lengths.ctypes.data, *rest)
        assert self._checked(answer) == len(texts)
        return room

    def decide(self, logits: np.ndarray) -> Decided:
        """What logits (B, C) say."""
        decided = Decided(np.full_like(logits, np.nan), np.full(len(logits), -9, np.int64))
        places = (logits.ctypes.data, len(logits), decided.probabilities.ctypes.data, decided.labels.ctypes.data)
        assert self._checked(self.library.ep_probabilities(self.handle, *places)) == len(logits)
        return decided

    def _room(self, count: int, with_vectors: bool) -> Classified:
        vectors = np.full((count, self.dim), np.nan, np.float32) if with_vectors else None
        return Classified(np.full((count, self.labels), np.nan, np.float32), vectors)

    def token_ids(self, text: bytes, max_tokens: int = MODEL_LIMIT) -> np.ndarray:
        """(tokens,) int32."""
        return self.token_ids_at(address_of(text), len(text), max_tokens)

    def token_ids_at(self, address: int, size: int, max_tokens: int = MODEL_LIMIT) -> np.ndarray:
        most = 3 * size + 1  # a character of WordPiece is three tokens at most
        while True:
            ids = np.full(most, -1, np.int32)
            answer = self.library.ep_token_ids(self.handle, address, size, max_tokens, ids.ctypes.data, most)
            if self._checked(answer) <= most:
                return ids[:answer]
            most = answer

    def _checked(self, answer: int) -> int:
        if answer < 0:
            raise Refused(answer, self.library.ep_last_error().decode())
        return answer


def _place(array: np.ndarray | None) -> int | None:
    return None if array is None else array.ctypes.data


def address_of(content: bytes) -> int:
    return ctypes.cast(content, c_void_p).value or 0
