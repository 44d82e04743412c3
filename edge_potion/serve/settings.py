"""What a server is told at its start: what it serves, who may ask, and how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.find import BUILT_IN

__all__ = ["Settings", "digest_of", "read_keys"]

MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a server serves, and its limits.

    Attributes:
        models: folders, hub ids or names of models; NAME=FOLDER serves one by another name. The first is the default.
        indexes: folders of indexes, each served by its folder's name, or as NAME=FOLDER.
        keys: digests of the keys of which a caller must have one; none means that anyone may ask.
        origins: of web pages that may call it from a browser; "*" for any.
        access_log: whether to write a line a request on stderr.
        max_body_bytes: of a request.
        max_texts: in a request.
        max_waiting: requests at work in threads or waiting for one, in a process; the next is answered with 429.
        max_held_bytes: of all bodies that are read at once, in a process.
        deadline_s: seconds in which a request's body must have come, and its answer be worked out.
        threads: that work in a process.
    """

    models: tuple[str, ...] = (BUILT_IN,)
    indexes: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    origins: tuple[str, ...] = ()
    access_log: bool = True
    max_body_bytes: int = 16 * MIB
    max_texts: int = 4096
    max_waiting: int = 64
    max_held_bytes: int = 256 * MIB
    deadline_s: float = 30.0
    threads: int = 1


def digest_of(key: bytes) -> bytes:
    """What is kept of a key: digests are of one length, so that comparing them tells nothing of the key's."""
    return sha256(key).digest()


def read_keys(file: Path) -> tuple[bytes, ...]:
    """Digests of the keys in a file: one a line; empty lines and those that begin with # are left out.

    Raises:
        InputError: it cannot be read, or holds no key.
    """
    try:
        lines = [line.strip() for line in file.read_bytes().splitlines()]
    except OSError as failure:
        raise InputError(f"the keys cannot be read: {file}: {failure.strerror}") from failure
    keys = tuple(_digests(line for line in lines if line and not line.startswith(b"#")))
    if not keys:
        raise InputError(
            f"{file} holds no key; write one a line, or leave --api-key-file out for a server without keys"
        )
    return keys


def _digests(keys: Iterable[bytes]) -> Iterator[bytes]:
    for key in keys:
        if not key.isascii() or b" " in key:
            raise InputError("a key holds a blank or a letter that is not ASCII, which no header can carry")
        yield digest_of(key)
