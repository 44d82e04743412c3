"""The C++ library of this process beside a second copy of it: put right before onnxruntime meets it.

A wheel that brings libstdc++ inside itself and lets its names be seen (usearch 2.26 does) shares parts of it with the
libstdc++.so.6 that all others use. Facets of the locale have numbers, and most of the numbers are shared; but each copy
counts on its own. Whichever comes second gives some facets a number that is taken, and then `std::ostream << 42` writes
nothing, and the regular expression that onnxruntime compiles when it is imported is a segmentation fault.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["settle"]

# std::locale::id objects that every copy has for itself, by their linker names: ctype and codecvt of each character.
OWN = [
    *("_ZNSt5ctypeIcE2idE", "_ZNSt7codecvtIcc11__mbstate_tE2idE"),
    *("_ZNSt5ctypeIwE2idE", "_ZNSt7codecvtIwc11__mbstate_tE2idE"),
    *("_ZNSt7codecvtIDsc11__mbstate_tE2idE", "_ZNSt7codecvtIDic11__mbstate_tE2idE"),
    *("_ZNSt7codecvtIDsDu11__mbstate_tE2idE", "_ZNSt7codecvtIDiDu11__mbstate_tE2idE"),
]


def settle() -> list[str]:
    """Have libstdc++.so.6 number its facets where nothing did yet, around the numbers that another copy gave.

    Loads nothing, and does nothing where libstdc++.so.6 is not loaded (numpy needs it on Linux) or is in order.

    Returns:
        Nothing where all is well; where it is too late, the libraries that hold another copy, as folder/name.
    """
    if sys.platform != "linux":
        return []
    try:
        cpp = ctypes.CDLL("libstdc++.so.6", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
        own = [ctypes.c_size_t.in_dll(cpp, name) for name in OWN]
        shared = [ctypes.c_size_t.in_dll(cpp, name) for name in _shared()]
        number, classic = cpp._ZNKSt6locale2id5_M_idEv, cpp._ZNSt6locale7classicEv
    except (OSError, ValueError, AttributeError):  # not loaded, or another C++ library than GNU's
        return []
    if not any(facet.value for facet in own):  # nothing has used this copy's locale yet
        _number_around({facet.value for facet in shared} - {0}, own, number)
        classic()  # numbers what has none, and makes the locale of all streams
    numbers = [facet.value for facet in (*own, *shared)]
    return [] if len(set(numbers)) == len(numbers) else _copies(cpp) or ["another library"]


def _shared() -> Iterator[str]:
    """The std::locale::id objects that all copies in a process share, by their linker names."""
    for letter in ("c", "w"):  # char, wchar_t
        get, put = (f"{letter}St19{kind}streambuf_iteratorI{letter}St11char_traitsI{letter}EE" for kind in ("i", "o"))
        for name, arguments in (("num_get", get), ("num_put", put), ("__timepunct", letter), ("time_put", put)):
            yield f"_ZNSt{len(name)}{name}I{arguments}E2idE"
        for name, arguments in (
            *(("numpunct", letter), ("collate", letter), ("messages", letter), ("time_get", get)),
            *(("moneypunct", f"{letter}Lb0E"), ("moneypunct", f"{letter}Lb1E"), ("money_get", get), ("money_put", put)),
        ):
            for scope in ("St", "St7__cxx11"):  # with strings as they were before GCC 5, and as they are
                yield f"_ZN{scope}{len(name)}{name}I{arguments}E2idE"


def _number_around(taken: set[int], own: list[ctypes.c_size_t], number: Callable[..., int]) -> None:
    """Give `own` the numbers between those that are `taken`, by libstdc++'s own counter, which begins at 1.

    Does nothing where there is not one for each: the other copy then has other facets than this one.
    """
    numbers = range(1, max(taken, default=0) + 1)
    if len(numbers) - len(taken) != len(own):
        return
    free = iter(own)
    for each in numbers:
        given = 1 + number(ctypes.byref(ctypes.c_size_t(0) if each in taken else next(free)))
        if given != each:  # the counter stood elsewhere
            return


def _copies(cpp: ctypes.CDLL) -> list[str]:
    """The loaded libraries that hold a copy of their own, as folder/name."""
    lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    files = {fields[5] for line in lines if len(fields := line.split(maxsplit=5)) == 6 and ".so" in fields[5]}
    found = []
    for file in sorted(files):
        with suppress(OSError, ValueError):
            library = ctypes.CDLL(file, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
            if _address(library) != _address(cpp):
                found.append("/".join(Path(file).parts[-2:]))
    return found


def _address(library: ctypes.CDLL) -> int:
    """Where a library, or one that it needs, has the first of OWN."""
    return ctypes.addressof(ctypes.c_size_t.in_dll(library, OWN[0]))
