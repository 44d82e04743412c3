"""Memory between two pages that cannot be touched: who reads or writes beside it ends there."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager

PAGE = mmap.PAGESIZE
PROT_NONE = 0


@contextmanager
def guarded(size: int) -> Iterator[int]:
    """The address behind the last byte of whole pages with room for `size`."""
    room = -(-max(size, 1) // PAGE) * PAGE
    pages = mmap.mmap(-1, room + 2 * PAGE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    end = begin + PAGE + room
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for guard in (begin, end):
        assert protect(guard, PAGE, PROT_NONE) == 0
    try:
        yield end
    finally:
        for guard in (begin, end):
            protect(guard, PAGE, mmap.PROT_READ | mmap.PROT_WRITE)
