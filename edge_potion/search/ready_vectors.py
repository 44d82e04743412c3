"""Vectors of texts that were made elsewhere, as by the teacher in whose space a model's queries lie."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.npy_file import open_npy
from edge_potion.unit_length import unit_length

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Given", "ReadyVectors"]

log = logging.getLogger("edge_potion")

Given = np.ndarray | Sequence[Sequence[float]] | Sequence[np.ndarray] | str | Path
COMPARED, FEWEST_COMPARED = 256, 16  # texts whose vectors are set beside the model's
_EXPECTED = "an array of (texts, {dim}) floats, a list of {dim} numbers for each text, or a file was expected"
DTYPES = ("F64", "F32", "F16", "f8", "f4", "f2")  # of safetensors, and of numpy


class ReadyVectors:
    """Vectors (N, D), one of each text in turn; those of a file are read as they are asked for.

    Args:
        given: an array of float64, float32 or float16, or a .npy or .safetensors file that holds one; or what numpy
            makes one of, as a list of a list of numbers a text, or a tensor.
        dim: D, of the model that queries are encoded by.

    Raises:
        InputError: it is no such array or file, or of another width.
    """

    def __init__(self, given: Given, dim: int) -> None:
        if isinstance(given, str | Path):
            self.name = str(given)
            array = _opened(Path(given).expanduser())
        else:
            self.name = "vectors"
            array = given if isinstance(given, np.ndarray) else _as_array(given, dim)
        shape = tuple(array.shape)
        if len(shape) != 2 or shape[1] != dim:
            raise InputError(f"{self.name} is of shape {shape}; (texts, {dim}) was expected, as wide as the model")
        if isinstance(array, np.ndarray) and array.dtype.str[1:] not in DTYPES:
            raise InputError(f"{self.name} is of {array.dtype}; float64, float32 or float16 was expected")
        self._array = array
        self._is_compared = False
        self._zeros: list[int] = []  # which are zeros, from 1, of texts that are not blank

    def __len__(self) -> int:
        return int(self._array.shape[0])

    def of(self, texts: Sequence[str], numbers: Sequence[int], model: EdgeModel) -> np.ndarray:
        """(n, D) float32: the vectors of these texts, by their places, which ascend.

        Says once where they do not seem to lie in the space of the model.

        Raises:
            InputError: there is none of a text, or one is not finite.
        """
        first, last = (numbers[0], numbers[-1]) if numbers else (0, -1)
        if last >= len(self):
            raise InputError(f"{self.name} has {len(self)} vectors, and there are more texts; one of each was expected")
        rows = np.asarray(self._array[first : last + 1])[np.asarray(numbers, np.int64) - first]
        with np.errstate(over="ignore"):  # what is beyond float32 is refused below
            rows = rows.astype(np.float32)
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{self.name}: vector {numbers[int(np.argmin(finite))] + 1} holds NaN or inf; leave out its text in "
                "both, or encode it again"
            )
        says_something = [bool(row.any()) for row in rows]
        told = zip(numbers, texts, says_something, strict=True)
        self._zeros += [number + 1 for number, text, is_told in told if text.strip() and not is_told]
        # Of different texts; a vector of zeros is near nothing, and tells of no space.
        places = list({text: place for place, text in enumerate(texts[:COMPARED]) if says_something[place]}.values())
        if not self._is_compared and len(places) >= FEWEST_COMPARED:
            self._is_compared = True
            if _is_foreign(rows[places], model.encode_document([texts[place] for place in places])):
                log.warning(
                    "warning: %s does not seem to lie in the space of the model: a text's vector there is no nearer to "
                    "the model's than another text's; take a model that was trained in the space of their teacher "
                    "(recipe query-encoder)",
                    self.name,
                )
        return rows

    def end(self, texts: int) -> None:
        """Say which vectors were zeros, once all texts have had theirs.

        Raises:
            InputError: there are more vectors than texts.
        """
        if self._zeros:
            log.warning(
                "warning: %d vectors of %s are zeros, the first is vector %d: their texts have no meaning to be found "
                "by; encode them again",
                len(self._zeros),
                self.name,
                self._zeros[0],
            )
        if len(self) > texts:
            raise InputError(
                f"{self.name} has {len(self)} vectors, and there are {texts} texts; one of each was expected"
            )


def _is_foreign(given: np.ndarray, own: np.ndarray) -> bool:
    """Whether vectors (n, D) are no nearer to those of the same texts than to those of others.

    Nearer is by a standard deviation of all the others, on the average: a student is nearer by several of them, and
    two spaces that are turned away from each other by none.
    """
    cosines = unit_length(given) @ unit_length(own).T  # (n, n)
    others = cosines[~np.eye(len(cosines), dtype=bool)]
    return bool(np.diag(cosines).mean() < others.mean() + others.std())


def _as_array(given: Any, dim: int) -> np.ndarray:
    """What numpy makes of numbers that are no array; of whole ones, float64."""
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as failure:  # RuntimeError: of a tensor that needs its gradient
        raise InputError(f"vectors: {str(failure).splitlines()[0]}; {_EXPECTED.format(dim=dim)}") from failure
    if array.dtype.kind == "O":
        raise InputError(f"vectors is of {type(given).__name__}; {_EXPECTED.format(dim=dim)}")
    if array.size == 0 and array.ndim == 1:
        return np.empty((0, dim))
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def _opened(file: Path) -> Any:
    """What a file holds: a memory-mapped array, or a slice of a tensor that reads what is asked of it."""
    readers: dict[str, Callable[[Path], Any]] = {".npy": open_npy, ".safetensors": _safetensors}
    if file.suffix not in readers:
        raise InputError(f"{file}: the name must end in {' or '.join(readers)}")
    try:
        return readers[file.suffix](file)
    except (OSError, ValueError, ModelFormatError) as failure:
        raise InputError(f"{file} cannot be read as vectors ({failure})") from failure


def _safetensors(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        stored: Any = safe_open(file, framework="numpy")
        names = list(stored.keys())
    except SafetensorError as failure:
        raise ValueError(failure) from failure
    if len(names) != 1:
        raise InputError(f"{file} holds {len(names)} tensors; one of shape (texts, dimensions) was expected")
    tensor = stored.get_slice(names[0])
    if tensor.get_dtype() not in DTYPES:
        raise InputError(f"{file} is of {tensor.get_dtype()}; float64, float32 or float16 was expected")
    return _Tensor(tuple(tensor.get_shape()), tensor)


class _Tensor:
    """A tensor of a file, of which the rows that are asked for are read."""

    def __init__(self, shape: tuple[int, ...], stored: Any) -> None:
        self.shape, self._stored = shape, stored

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.asarray(self._stored[rows])
