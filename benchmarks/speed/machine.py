"""The machine that a benchmark runs on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["core_count", "cpu_name", "load_average", "memory_bytes", "system_name"]


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def core_count() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_average() -> float | None:
    """Processes that wanted a core over the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def memory_bytes() -> int | None:
    """None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def system_name() -> str:
    """Operating system, its release, and the architecture."""
    return f"{platform.system()} {platform.release()} {platform.machine()}"
