"""docs/scale.md: a billion rows and a hundred billion on paper, from what the study of bulk jobs measured."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from .page_parts import Report, source, table

__all__ = ["scale_page"]

COMMAND = "python -m edge_potion.benchmarks.studies.bulk"
ROWS = {"a billion": 10**9, "a hundred billion": 10**11}
DTYPES = ("float32", "float16", "int8", "binary")
SHARD_ROWS = {"a billion": 2**17, "a hundred billion": 2**21}
MANIFEST_BYTES = 300  # of a shard in _manifest.json: counted in one of ours
# What nobody measured here: list prices and limits of ordinary cloud machines and object stores, rounded.
CORES, GIGABITS = 16, 12.5  # of a machine
DOLLARS_A_CORE_HOUR, DOLLARS_SPOT = 0.045, 0.015
DOLLARS_A_GB_MONTH, DOLLARS_A_MILLION_PUTS, DOLLARS_A_MILLION_GETS = 0.023, 5.0, 0.4
STORE_MB_S = 90  # of one connection
GET_BYTES = 8 * 10**6  # of a read


def scale_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    rows = report["rows"]
    rate = median(run["rows_s"] for run in report["runs"]["workers 2"]) / 2
    bytes_in = report["bytes_in"] / rows
    out = {dtype: report["dtypes"][f"{dtype} parquet"]["bytes_out"] / report["few_rows"] for dtype in DTYPES}
    page = [
        "# A billion rows, and a hundred billion",
        f"On paper, from one measurement and some assumptions. Measured ([bulk](results/bulk.md)): {rate:,.0f} rows a "
        f"second and core from .parquet to .parquet int8, reading, embedding, coding and writing; {bytes_in:.0f} bytes "
        "a row in (texts of a sentence, packed, and an id); bytes a row out as the table has them. Assumed, and marked "
        f"so: machines of {CORES} cores with {GIGABITS:g} Gbit/s, ${DOLLARS_A_CORE_HOUR} a core-hour "
        f"(${DOLLARS_SPOT} for machines that may be taken away, which a job here survives), an object store at "
        f"${DOLLARS_A_GB_MONTH} a GB and month, ${DOLLARS_A_MILLION_PUTS:g} a million writes, "
        f"${DOLLARS_A_MILLION_GETS:g} a million reads, {STORE_MB_S} MB/s a connection. Longer texts cost more in "
        "proportion: what counts is their bytes.",
        "## What it takes",
        table(["", *ROWS], _work(rate, bytes_in)),
        "## What comes out",
        table(
            ["", "bytes a row (measured)", *(f"{name}, TB" for name in ROWS), "$ a month (assumed), a hundred billion"],
            [
                [
                    f"`{dtype}`",
                    f"{size:.0f}",
                    *(f"{size * count / 1e12:.3g}" for count in ROWS.values()),
                    f"{size * ROWS['a hundred billion'] / 1e9 * DOLLARS_A_GB_MONTH:,.0f}",
                ]
                for dtype, size in out.items()
            ],
        ),
        "## What saturates first",
        *_limits(rate, bytes_in, out),
        "## Shards",
        _shards(rate, out["int8"]),
        "Memory does not depend on any of it: that of a worker is in [the measurement](results/bulk.md), and whoever "
        "leads the work holds some hundred bytes a shard.",
        source(name, COMMAND).replace("../../benchmarks", "../benchmarks"),
    ]
    return {"scale.md": "\n\n".join(page) + "\n"}


def _work(rate: float, bytes_in: float) -> list[list[str]]:
    hours = {name: count / rate / 3600 for name, count in ROWS.items()}
    gets = {name: count * bytes_in / GET_BYTES for name, count in ROWS.items()}
    puts = {name: count / SHARD_ROWS[name] for name, count in ROWS.items()}
    requests = {
        name: (gets[name] * DOLLARS_A_MILLION_GETS + puts[name] * DOLLARS_A_MILLION_PUTS) / 1e6 for name in ROWS
    }
    return [
        ["TB in", *(f"{count * bytes_in / 1e12:.3g}" for count in ROWS.values())],
        ["core-hours", *(f"{value:,.2g}" if value < 10 else f"{value:,.0f}" for value in hours.values())],
        ["hours on one machine of 16 cores", *(f"{value / CORES:,.2g}" for value in hours.values())],
        ["hours on a hundred of them", *(f"{value / CORES / 100:.2g}" for value in hours.values())],
        ["$ for the cores (assumed prices)", *(f"{value * DOLLARS_A_CORE_HOUR:,.2f}" for value in hours.values())],
        ["$ where machines may be taken away", *(f"{value * DOLLARS_SPOT:,.2f}" for value in hours.values())],
        ["$ for reads and writes of the store", *(f"{value:,.2f}" for value in requests.values())],
    ]


def _shards(rate: float, size: float) -> str:
    small, large = 2**17, 2**21
    few, many = ROWS.values()
    return (
        "A shard is what is lost when a machine dies in the middle of it, and what a reader opens. At `--shard-rows "
        f"{small}` (the default) a billion rows are {few / small:,.0f} files of {size * small / 1e6:.0f} MB at int8, "
        f"and the manifest has some {few / small * MANIFEST_BYTES / 1e6:.1f} MB. A hundred billion would be "
        f"{many / small:,.0f} files: take `--shard-rows {large}`, {many / large:,.0f} files of "
        f"{size * large / 1e6:.0f} MB, each of {large / rate:.0f} s of a core's work. Or give a folder of inputs to "
        "each of some jobs: the manifests are small, and no job waits for another."
    )


def _limits(rate: float, bytes_in: float, out: Mapping[str, float]) -> list[str]:
    wire = GIGABITS * 1e9 / 8  # bytes a second of a machine
    rows = []
    for dtype, size in out.items():
        needed = CORES * rate * (bytes_in + size)
        cores = wire / (rate * (bytes_in + size))
        rows.append([f"`{dtype}`", f"{needed / 1e9:.2f}", f"{cores:.0f}", f"{rate * (bytes_in + size) / 1e6:.0f}"])
    return [
        "With the rows in an object store, the network, and not the cores, wherever a line says fewer than "
        f"{CORES} cores: {GIGABITS:g} Gbit/s (assumed) are {wire / 1e9:.2f} GB/s.",
        table(["", "GB/s of a machine with 16 cores", "cores that fill its network", "MB/s a core"], rows),
        f"A connection to the store gives some {STORE_MB_S} MB/s (assumed): a core needs one or two to read and, by "
        "dtype, more to write. Inputs and output of ours lie on paths; a store is mounted (mountpoint, gcsfuse, "
        "JuiceFS), or shards are copied when they are whole. On one's own disk it is the disk: see MB a second in "
        "[the measurement](results/bulk.md), beside what yours can do. The order in which to save bytes is `int8`, "
        "`--truncate-dim 128`, then `binary` with int8 kept for the candidates.",
    ]
