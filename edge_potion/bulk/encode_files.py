"""The bulk job: inputs -> plan -> slices -> shards -> a whole manifest; what is there already is not made again."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.bulk.job import Job
from edge_potion.bulk.local import open_maker, run_by_workers
from edge_potion.bulk.manifest import ROTATION, Output, open_output
from edge_potion.bulk.parquet_rows import group_starts
from edge_potion.bulk.plan import Plan, make_plan
from edge_potion.bulk.shard import Outcome
from edge_potion.bulk.slices import Slice, slices_of, tasks_of
from edge_potion.errors import InputError
from edge_potion.progress import progress_bar
from edge_potion.tokens import check_count

if TYPE_CHECKING:
    from edge_potion.runtime import EdgeModel

__all__ = ["Summary", "encode_files"]

log = logging.getLogger("edge_potion")

MB = 10**6
MANY = 64  # actors of a cluster, where nobody says how many
ROTATION_TEXTS = 2**14  # that a rotation is fitted to


@dataclass(frozen=True)
class Summary:
    """What a folder of shards holds.

    Attributes:
        folder: itself.
        rows: vectors, null ones among them.
        dim: values of a vector.
        dtype: of them.
        shards: how many files or pairs of files.
        made: how many of them this run made; the others were there.
        unknown: texts without a token that the model knows.
        bad: rows whose text could not be used, by reason.
        bad_rows: what is wrong with the first of those.
    """

    folder: Path
    rows: int
    dim: int
    dtype: str
    shards: int
    made: int
    unknown: int
    bad: dict[str, int]
    bad_rows: list[str]


def encode_files(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    show_progress: bool = False,
    **options: Any,
) -> Summary:
    """Embed files of texts into a folder of shards; the same call goes on where it was stopped, in the same bytes.

    With more than one worker the caller's script needs `if __name__ == "__main__":`, as processes are spawned.

    Args:
        inputs: files, folders, globs; .parquet, .jsonl, .csv, .tsv and .txt, all but the first compressed or not.
        out: the folder of shards.
        workers: processes, by default this one alone; or actors, by default as many as the Ray cluster has room for.
        engine: "local", this machine, or "ray".
        address: of the Ray cluster; by default the one around, or a new one on this machine.
        show_progress: a line on stderr.
        options: what else `edge_potion.bulk.job.Job` has, by name: model, text_column, keep, dtype, format, ...

    Raises:
        InputError: an argument or an input cannot be used, or the folder is of another job.
        AccessError: the folder cannot be written to; what is whole in it stays.
        ModelFormatError, ProviderError, MissingExtraError: the model cannot be opened, or a library is missing.
    """
    if engine not in ("local", "ray"):
        raise InputError(f"engine is {engine!r}; local or ray was expected")
    if workers is not None:
        check_count("workers", workers)
    named = (inputs,) if isinstance(inputs, str | Path) else tuple(inputs)
    try:
        job = Job(tuple(map(str, named)), Path(out).expanduser(), **options)
    except TypeError as failure:
        raise InputError(f"encode_files: {failure}") from failure
    plan, model = make_plan(job)
    with open_output(plan) as output:
        before = len(output.done)
        rotation = _rotation_of(plan, model, output)
        missing = _Missing(plan, output)
        if missing.is_any or not output.is_complete:
            output.begin()
            tasks = tasks_of(iter(missing), _longest_task(plan, workers or (MANY if engine == "ray" else 1)))
            if engine == "ray":
                from edge_potion.bulk.on_ray import run_on_ray

                outcomes = run_on_ray(plan, rotation, tasks, workers, address)
            elif workers in (None, 1):
                outcomes = open_maker(plan, rotation, model).make_all(part for task in tasks for part in task)
            else:
                outcomes = run_by_workers(plan, rotation, tasks, workers or 1)
            try:
                with closing(outcomes):  # at once, whoever fails: workers end with it
                    _add_all(outcomes, plan, output, show_progress)
            except BaseException:
                log.warning("stopped with %d whole shards in %s; the same command goes on", len(output.done), job.out)
                raise
            for file in plan.inputs:
                file.refuse_changed()
            output.finish()
        return _summary_of(plan, output, before)


class _Missing:
    """The slices whose shards are not there; of a stream, those which are there are held to what was read then."""

    def __init__(self, plan: Plan, output: Output) -> None:
        self._plan, self._output = plan, output
        self._slices = self._left()
        self._first = next(self._slices, None)
        self.is_any = self._first is not None

    def __iter__(self) -> Iterator[Slice]:
        if self._first is not None:
            yield self._first
            yield from self._slices

    def _left(self) -> Iterator[Slice]:
        for part in chain.from_iterable(slices_of(file, self._plan.job.shard_rows) for file in self._plan.inputs):
            outcome = self._output.done.get(part.name)
            if outcome is None:
                yield part
            elif outcome.digest != part.digest:
                raise InputError(
                    f"{part.input.path}: from line {part.first:,} on, it is not what {self._output.folder} was begun "
                    "with; name a new folder"
                )


def _longest_task(plan: Plan, workers: int) -> int:
    """Slices that a worker takes at a time: so many that all have some turns."""
    rows = sum(int(group_starts(file.path)[-1]) for file in plan.inputs if file.kind == ".parquet")
    return max(1, rows // plan.job.shard_rows // (4 * workers))


def _rotation_of(plan: Plan, model: EdgeModel, output: Output) -> Path | None:
    """The file of the rotation, which is fitted to the first texts where it is not there."""
    from edge_potion.bulk.embed import embed
    from edge_potion.bulk.rows import RowReader
    from edge_potion.rotation import Rotation
    from edge_potion.writing import file_written_whole

    file = output.folder / ROTATION
    if not plan.job.rotate:
        return None
    if file.exists() and output.done:
        Rotation.load(file)
        return file
    if any(source.is_stream for source in plan.inputs):
        raise InputError("a rotation is fitted to the first texts, which stdin gives once only; save them as a file")
    reader = RowReader(plan.job.text_column, plan.kept, 0)
    slices = chain.from_iterable(slices_of(source, ROTATION_TEXTS) for source in plan.inputs)
    windows = (window.without_bad() for part in slices for window in reader.rows_of(part))
    parts, count = [], 0
    for window in windows:
        parts.append(embed(model, window.texts, max_tokens=plan.job.max_tokens, truncate_dim=plan.job.truncate_dim))
        count += len(parts[-1])
        if count >= ROTATION_TEXTS:
            break
    sample = np.concatenate([np.empty((0, plan.dim), np.float32), *parts])[:ROTATION_TEXTS]
    rotation = Rotation.fit(sample)
    with file_written_whole(file) as beside:
        rotation.save(beside)
    return file


def _add_all(outcomes: Iterator[Outcome], plan: Plan, output: Output, show_progress: bool) -> None:
    sizes = [file.size_bytes or 0 for file in plan.inputs]
    total = None if any(file.is_stream for file in plan.inputs) else sum(sizes) // MB
    done = output.done.values()
    read, rows = sum(outcome.input_bytes for outcome in done), sum(outcome.rows for outcome in done)
    bad = sum(sum(outcome.bad.values()) for outcome in done)
    before, begin = rows, time.monotonic()
    with progress_bar(show_progress, desc="encode", unit="MB", total=total, initial=read // MB) as progress:
        for outcome in outcomes:
            output.add(outcome)
            read, rows, bad = read + outcome.input_bytes, rows + outcome.rows, bad + sum(outcome.bad.values())
            rate = (rows - before) / max(1e-9, time.monotonic() - begin)
            progress.set_postfix_str(f"{rows:,} rows, {rate:,.0f} rows/s{f', {bad:,} bad' if bad else ''}")
            progress.update(read // MB - progress.n)


def _summary_of(plan: Plan, output: Output, before: int) -> Summary:
    outcomes = list(output.done.values())
    bad: Counter[str] = Counter()
    for outcome in outcomes:
        bad.update(outcome.bad)
    return Summary(
        folder=output.folder,
        rows=sum(outcome.rows for outcome in outcomes),
        dim=plan.dim,
        dtype=plan.job.dtype,
        shards=len(outcomes),
        made=len(outcomes) - before,
        unknown=sum(outcome.unknown for outcome in outcomes),
        bad=dict(bad),
        bad_rows=list(islice((message for outcome in outcomes for message in outcome.named), 3)),
    )
