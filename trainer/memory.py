"""Peak memory of this process, in a stage or since it began."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["peak_memory_mb", "reset_peak_memory"]

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux


def reset_peak_memory() -> None:
    """Begin to measure anew, where the system can."""
    with suppress(OSError):
        RESET.write_text("5")  # proc(5): resets the peak resident set size


def peak_memory_mb() -> int | None:
    """Most resident memory since the last reset, or since the process began, in MB; None where nobody tells."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1000
    with suppress(ImportError):
        import resource
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // (1_000_000 if sys.platform == "darwin" else 1000)  # bytes there, kB elsewhere
    return None
