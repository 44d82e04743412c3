"""Shards on this machine: by this process, or by workers that it starts, of which one may die without harm."""

from __future__ import annotations

import signal
import traceback
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from edge_potion.bulk.plan import Plan, open_model_of
from edge_potion.bulk.shard import Outcome, ShardMaker
from edge_potion.bulk.slices import Slice
from edge_potion.errors import EdgePotionError

__all__ = ["run_by_workers"]

Task = tuple[Slice, ...]
DEATHS = 2  # of workers at one task, until it is taken for the reason


class _Worker:
    """A process that makes shards. It is spawned, so that it shares no lock and no thread of ours."""

    def __init__(self, plan: Plan, rotation: Path | None, first: Task) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, plan, rotation), daemon=True)
        with _ctrl_c_later():
            self.process.start()
        theirs.close()
        self.first: Task = first  # that it gets when it says that it is there
        self.left = {part.name: part for part in first}  # of which no outcome has come, by name

    def give(self, task: Task) -> None:
        """The next task; an empty one is the last."""
        self.first = ()
        self.left.update((part.name, part) for part in task)
        with suppress(ConnectionError):  # it died, which is heard where its answer is waited for
            self.connection.send(task)

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


def run_by_workers(
    plan: Plan, rotation: Path | None, tasks: Iterator[Task], workers: int
) -> Generator[Outcome, None, None]:
    """What becomes of the slices of `tasks`, as they are done; one task more than there are workers is read ahead.

    Args:
        plan: of the job.
        rotation: file of the rotation of binary codes, or None.
        tasks: slices, by what one worker does at a time.
        workers: most processes.

    Raises:
        EdgePotionError: what a worker met; or workers die at a task again and again.
    """
    at_work: dict[Connection, _Worker] = {}
    undone: list[Slice] = []  # of workers that died
    deaths: Counter[str] = Counter()
    waiting: list[Task] = []  # read ahead, one at most

    def next_task() -> Task:
        if undone:
            return (undone.pop(),)
        return waiting.pop() if waiting else next(tasks, ())

    try:
        while True:
            while len(at_work) < workers and (task := next_task()):
                worker = _Worker(plan, rotation, task)
                at_work[worker.connection] = worker
            if not at_work:
                return
            if not waiting:
                waiting = [task for task in (next(tasks, ()),) if task]
            for connection in wait(list(at_work)):
                worker = at_work[connection]  # type: ignore[index]
                try:
                    answer = worker.connection.recv()
                except (EOFError, OSError):
                    del at_work[worker.connection]
                    worker.stop()
                    if worker.left:
                        undone += _left_by(worker, deaths)
                    continue
                if isinstance(answer, Outcome):
                    del worker.left[answer.name]
                    yield answer
                elif answer is None:
                    worker.give(worker.first or next_task())
                else:
                    raise answer
    finally:
        for worker in at_work.values():
            worker.stop()


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Have what is started not hear Ctrl-C, before it can say so itself; we hear it when the block ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # else it starts within, and lets the signal through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _left_by(worker: _Worker, deaths: Counter[str]) -> list[Slice]:
    """What a worker that died had not done; EdgePotionError where others died at it before."""
    parts = list(worker.left.values())
    first = parts[0]
    deaths[first.name] += 1
    if deaths[first.name] < DEATHS:
        return parts[::-1]
    code = worker.process.exitcode or 0
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    raise EdgePotionError(
        f"a worker {how} at {first.input.path}, from row {first.first:,} on, {DEATHS} times; is there memory enough? "
        "Run the same command again, with fewer --workers: it goes on after the shards that are whole"
    )


def _work(connection: Connection, plan: Plan, rotation: Path | None) -> None:
    """What a worker does: None where a task may come, the task, and an Outcome for each slice of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us hears it, and stops us

    def parts() -> Iterator[Slice]:
        connection.send(None)
        while task := connection.recv():
            yield from task
            connection.send(None)

    try:
        for outcome in open_maker(plan, rotation).make_all(parts()):
            connection.send(outcome)
    except (EOFError, ConnectionError):  # whoever started us is gone
        return
    except BaseException as failure:
        with suppress(ConnectionError):
            connection.send(_sent(failure))


def open_maker(plan: Plan, rotation: Path | None, model: Any = None) -> ShardMaker:
    """Who makes the shards of a plan in this process."""
    from edge_potion.rotation import Rotation

    return ShardMaker(plan, model or open_model_of(plan.job), Rotation.load(rotation) if rotation else None)


def _sent(failure: BaseException) -> BaseException:
    """A failure as it can be sent: ours as it is, a bug with where it came from."""
    if isinstance(failure, EdgePotionError | MemoryError):
        return failure
    return RuntimeError(f"a worker failed:\n{''.join(traceback.format_exception(failure))}")
