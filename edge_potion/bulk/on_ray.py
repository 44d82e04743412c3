"""Shards on a Ray cluster: actors make them on a path that all machines share; who asked notes which are whole."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_potion.bulk.plan import Plan, open_model_of
from edge_potion.bulk.shard import Outcome, ShardMaker
from edge_potion.bulk.slices import Slice
from edge_potion.errors import AccessError

if TYPE_CHECKING:
    from edge_potion.ray import SentModel

__all__ = ["run_on_ray"]

Task = tuple[Slice, ...]


def run_on_ray(
    plan: Plan, rotation: Path | None, tasks: Iterator[Task], workers: int | None, address: str | None
) -> Generator[Outcome, None, None]:
    """What becomes of the slices of `tasks`, as they are done.

    Args:
        plan: of the job.
        rotation: file of the rotation of binary codes, or None.
        tasks: slices, by what one actor does at a time.
        workers: actors, each with as many CPUs as the job has threads; None for as many as there is room for now.
        address: of the cluster, as `edge_potion.ray_cluster.joined` takes it.

    Raises:
        EdgePotionError: what an actor met.
        AccessError: there is no cluster, it loses one actor after the other, or it does not share the folder.
    """
    from edge_potion.ray import sent_model
    from edge_potion.ray_cluster import joined
    from edge_potion.ray_workers import Needs, RayWorkers

    job = plan.job
    first = next(tasks, None)
    if first is None:
        return
    with joined(address):
        sent, _ = sent_model(job.model, job.revision, plan.precision)
        needs = Needs(job.threads or 1, 0, "ray")
        makers: RayWorkers[Task, list[Outcome]] = RayWorkers(
            Maker, (plan, sent, rotation, Path.cwd()), needs, lambda task: f"shard {task[0].name}"
        )
        for _, outcomes in makers.answers(_all_of(first, tasks), workers or needs.room()):
            for outcome in outcomes:
                _refuse_not_shared(plan, outcome)
                yield outcome


class Maker:
    """An actor. It is made before it opens anything, so that what is wrong with the model comes as our error."""

    def __init__(self, plan: Plan, sent: SentModel, rotation: Path | None, place: Path) -> None:
        self.plan, self.sent, self.rotation, self.place = plan, sent, rotation, place

    def load(self) -> None:
        """Open the model, where the names of files mean what they mean to who asked.

        Raises:
            AccessError: the folder that is written is not here.
        """
        from edge_potion.rotation import Rotation

        with suppress(OSError):  # where it is not, names that begin with / have to do
            os.chdir(self.place)
        if not self.plan.job.out.is_dir():
            raise AccessError(f"{self.plan.job.out} is not on every machine of the cluster; write to a path they share")
        job = replace(self.plan.job, model=self.sent.arrived(), revision=None)
        rotation = Rotation.load(self.rotation) if self.rotation else None
        self.maker = ShardMaker(self.plan, open_model_of(job), rotation)

    def work(self, task: Task) -> list[Outcome]:
        """Make the shards of some slices."""
        return list(self.maker.make_all(task))


def _all_of(first: Task, others: Iterator[Task]) -> Iterator[Task]:
    yield first
    yield from others


def _refuse_not_shared(plan: Plan, outcome: Outcome) -> None:
    for name in outcome.sizes:
        if not (plan.job.out / name).is_file():
            raise AccessError(
                f"{plan.job.out / name} was written by a machine of the cluster and is not here; write to a path that "
                "all of them share"
            )
