"""Actors of a Ray cluster that take tasks as they get ready; what a lost one had goes to another."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edge_potion.errors import AccessError, EdgePotionError, InputError

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

__all__ = ["Needs", "RayWorkers"]

log = logging.getLogger("edge_potion")

MOST_LOSSES = 3  # of workers over one task, or before they begin: it is not the machines
SECONDS_OF_PATIENCE = 30  # without a worker, until we say what is waited for

Task = TypeVar("Task")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Needs:
    """What each worker takes of the cluster.

    Attributes:
        cpus, gpus: of it.
        extra: what has to be installed on its machine, of edge-potion's extras.
    """

    cpus: float
    gpus: float
    extra: str

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"

    def room(self) -> int:
        """How many workers the cluster has room for.

        Raises:
            InputError: for none.
        """
        import ray

        there = ray.cluster_resources()
        wanted = {"CPU": self.cpus, "GPU": self.gpus}
        room = min((int(there.get(kind, 0) // amount) for kind, amount in wanted.items() if amount), default=1)
        if not room:
            raise InputError(
                f"the Ray cluster has no room for a worker with {self}; ask for less, or say how many workers there "
                "shall be, and they are waited for"
            )
        return room


@dataclass(frozen=True)
class _AtWork(Generic[Task]):
    """What a worker is asked for; it has no task while it loads."""

    worker: ActorHandle[Any]
    task: Task | None


class RayWorkers(Generic[Task, Answer]):
    """Workers, and what each does. Ray itself would start a lost one again only where there is room, and keep its task.

    Args:
        kind: a class with `load()`, which is called once and raises what is wrong, and `work(task)`.
        arguments: of it.
        needs: of each worker.
        called: a task, in errors: "shard 3".
    """

    def __init__(self, kind: type, arguments: tuple[Any, ...], needs: Needs, called: Callable[[Task], str]) -> None:
        import ray

        options: dict[str, Any] = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_restarts": 0}
        self._kind: Any = ray.remote(**options)(kind)
        self._arguments, self._needs, self._called = arguments, needs, called
        self._at_work: dict[ObjectRef[Any], _AtWork[Task]] = {}
        self._idle: list[ActorHandle[Any]] = []
        self._again: list[Task] = []  # whose workers were lost
        self._losses: Counter[str] = Counter()  # by the task; "" before there was one

    def answers(self, tasks: Iterator[Task], workers: int) -> Generator[tuple[Task, Answer], None, None]:
        """Each task and what a worker answered to it, as they get ready; each worker has one, and none waits elsewhere.

        Raises:
            EdgePotionError: what a worker met.
            AccessError: the cluster loses one worker after the other.
        """
        import ray

        try:
            for _ in range(workers):
                self._add()
            yield from self._answers(tasks)
        finally:
            for worker in (*self._idle, *(one.worker for one in self._at_work.values())):
                ray.kill(worker)

    def _add(self) -> None:
        worker = self._kind.remote(*self._arguments)
        self._at_work[worker.load.remote()] = _AtWork(worker, None)

    def _answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        while True:
            while self._idle and (task := self._again.pop() if self._again else next(tasks, None)):
                worker = self._idle.pop()
                self._at_work[worker.work.remote(task)] = _AtWork(worker, task)
            if self._idle and not any(one.task for one in self._at_work.values()):
                return
            ready = self._next_ready()
            one = self._at_work.pop(ready)
            answer = self._got(ready, one)
            if one.task is not None and answer is not None:
                yield one.task, answer

    def _next_ready(self) -> ObjectRef[Any]:
        import ray

        patience: float | None = SECONDS_OF_PATIENCE
        while True:
            ready, _ = ray.wait(list(self._at_work), timeout=patience)
            if ready:
                return ready[0]
            if not self._idle and not any(one.task for one in self._at_work.values()):
                log.warning("still no worker; the Ray cluster has no room for %s yet", self._needs)
            patience = None

    def _got(self, ready: ObjectRef[Any], one: _AtWork[Task]) -> Answer | None:
        """What a worker answers; None where it was loading, or is lost."""
        import ray
        from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

        try:
            answer: Answer | None = ray.get(ready)
        except (RayActorError, ObjectLostError) as loss:
            self._replace(one, loss)
            return None
        except RayTaskError as failure:
            self._idle.append(one.worker)  # it is there, and is to be ended
            raise failure.cause if isinstance(failure.cause, EdgePotionError) else failure from None
        self._losses.pop("", None)
        self._idle.append(one.worker)
        return answer

    def _replace(self, one: _AtWork[Task], loss: Exception) -> None:
        import ray

        ray.kill(one.worker)
        task = "" if one.task is None else self._called(one.task)
        self._losses[task] += 1
        reason = str(loss).strip().splitlines()[-1].strip()
        if self._losses[task] > MOST_LOSSES:
            when = f"over {task}" if task else "before they could begin"
            raise AccessError(
                f"{self._losses[task]} workers of the Ray cluster were lost {when} (the last: {reason}); each machine "
                f"needs edge-potion[{self._needs.extra}], and memory for the model"
            )
        log.warning("a worker was lost, and another does its work (%s)", reason)
        if one.task is not None:
            self._again.append(one.task)
        self._add()
