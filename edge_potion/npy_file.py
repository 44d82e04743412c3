"""An .npy file of a stranger -> an array that is mapped, or an error of one line."""

from __future__ import annotations

import tokenize
from pathlib import Path

import numpy as np

from edge_potion.errors import InputError

__all__ = ["open_npy"]

MAGIC = b"\x93NUMPY"
# What numpy raises for a header that is torn, or of no array: it reads that as Python's own literals.
DAMAGES = (ValueError, EOFError, TypeError, OverflowError, SyntaxError, tokenize.TokenError)


def open_npy(file: Path) -> np.ndarray:
    """The array in a file, memory-mapped; nothing pickled is read.

    Raises:
        InputError: the file cannot be read, or is no whole .npy of numbers.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:  # numpy would take an .npz, whatever its name, for an archive
                raise ValueError("it does not begin as one")
        with np.errstate(over="ignore"):  # of a shape that no file holds, which is refused
            array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
        return array
    except OSError as failure:
        raise InputError(f"cannot read {file}: {failure.strerror or failure}") from failure
    except DAMAGES as failure:
        raise InputError(
            f"{file} cannot be read: it is no .npy file of numbers, or only a part of one; it may not be packed"
        ) from failure
