"""Featurize on Ray: workers of a cluster encode slices of the corpus; what they give is written by who asked for it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_potion.errors import AccessError, EdgePotionError, InputError
from edge_potion.find import files_of
from edge_potion.parcel import packed, unpacked
from edge_potion.ray_cluster import joined

from .featurize import Encoded, EncodedSlice, Slice, encoded
from .recipe import FeaturizeRecipe
from .teacher import Teacher, load_teacher
from .teacher_files import TEACHER_FILES

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

__all__ = ["OnRay", "encoded_on_ray"]

log = logging.getLogger("edge_potion")

MOST_LOSSES = 3  # of workers over one slice, or before they begin: it is not the machines
SECONDS_OF_PATIENCE = 30  # without a worker, until we say what is waited for


@dataclass(frozen=True)
class OnRay:
    """Which cluster, and what of it is taken.

    Attributes:
        address: of the cluster, as `edge_potion.ray_cluster.joined` takes it.
        workers: how many encode at once, each with a copy of the teacher; None for as many as there is room for now.
        cpus: of each worker.
        gpus: of each worker; with any, its teacher is on "cuda".
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1
    gpus: float = 0


def encoded_on_ray(
    teacher: Teacher,
    recipe: FeaturizeRecipe,
    slices: Iterator[Slice],
    left: int,
    *,
    on_ray: OnRay,
    trust_remote_code: bool = False,
) -> Generator[EncodedSlice]:
    """What the teacher gives for slices, as they get ready; each worker has one, and none waits for it elsewhere.

    A slice whose worker is lost goes to another. The teacher is sent to each machine once, by its content.

    Raises:
        InputError: the cluster has no room for a worker.
        AccessError: there is no cluster, or it loses one worker after the other.
    """
    if not left:
        return
    with joined(on_ray.address):
        workers = Workers(_sent(teacher, on_ray, trust_remote_code), recipe, on_ray)
        try:
            for _ in range(min(on_ray.workers or _room(on_ray), left)):
                workers.add()
            yield from workers.encoded(slices)
        finally:
            workers.end()


@dataclass(frozen=True)
class SentTeacher:
    """How a teacher reaches a worker.

    Attributes:
        digest: of its files.
        parcel: these files in Ray's object store; in a list, so that they are fetched only where they are needed.
        device, trust_remote_code: as of `load_teacher`.
        name, revision: what it is called here.
    """

    digest: str
    parcel: list[ObjectRef]
    device: str
    trust_remote_code: bool
    name: str
    revision: str

    def arrived(self) -> Teacher:
        """The teacher, on the machine of the worker."""
        import ray

        folder = unpacked(self.digest, lambda: ray.get(self.parcel[0]))
        teacher = load_teacher(folder, device=self.device, trust_remote_code=self.trust_remote_code)
        return replace(teacher, name=self.name, revision=self.revision)


class Worker:
    """An actor. It is made before it loads anything, so that what is wrong with the teacher comes as our error."""

    def __init__(self, sent: SentTeacher, recipe: FeaturizeRecipe) -> None:
        self.sent, self.recipe = sent, recipe

    def load(self) -> None:
        """Load the teacher."""
        self.teacher = self.sent.arrived()

    def encoded(self, texts: list[str]) -> Encoded:
        """What the teacher gives for the sentences of a slice."""
        return encoded(self.teacher, texts, self.recipe)


@dataclass(frozen=True)
class AtWork:
    """What a worker is asked for; it has no slice while it loads the teacher."""

    worker: ActorHandle
    slice: Slice | None


class Workers:
    """Those that are there, and what each does."""

    def __init__(self, sent: SentTeacher, recipe: FeaturizeRecipe, on_ray: OnRay) -> None:
        import ray

        # Ray would start one again only where there is room, and keep its slice until then.
        options: dict[str, Any] = {"num_cpus": on_ray.cpus, "num_gpus": on_ray.gpus, "max_restarts": 0}
        self.kind, self.arguments, self.on_ray = ray.remote(**options)(Worker), (sent, recipe), on_ray
        self.at_work: dict[ObjectRef, AtWork] = {}
        self.idle: list[ActorHandle] = []
        self.again: list[Slice] = []  # whose workers were lost
        self.losses: Counter[int | None] = Counter()  # by the slice's number; None before it had one

    def add(self) -> None:
        """Ask for one more worker."""
        worker = self.kind.remote(*self.arguments)
        self.at_work[worker.load.remote()] = AtWork(worker, None)

    def end(self) -> None:
        """Give up their places."""
        import ray

        for worker in (*self.idle, *(one.worker for one in self.at_work.values())):
            ray.kill(worker)

    def encoded(self, slices: Iterator[Slice]) -> Iterator[EncodedSlice]:
        """All slices, as they get ready."""
        while True:
            while self.idle and (part := self.again.pop() if self.again else next(slices, None)):
                worker = self.idle.pop()
                self.at_work[worker.encoded.remote(part.texts)] = AtWork(worker, part)
            if self.idle and not any(one.slice for one in self.at_work.values()):
                return
            answer = self._next_answer()
            one = self.at_work.pop(answer)
            result = self._got(answer, one)
            if one.slice is not None and result is not None:
                yield EncodedSlice(one.slice, result)

    def _next_answer(self) -> ObjectRef:
        import ray

        patience: float | None = SECONDS_OF_PATIENCE
        while True:
            ready, _ = ray.wait(list(self.at_work), timeout=patience)
            if ready:
                return ready[0]
            if not self.idle and not any(one.slice for one in self.at_work.values()):
                log.warning("features: still no worker; the cluster has no room for %s yet", _needs(self.on_ray))
            patience = None

    def _got(self, answer: ObjectRef, one: AtWork) -> Encoded | None:
        """What a worker answers; None where it was loading, or is lost."""
        import ray
        from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

        try:
            result = ray.get(answer)
        except (RayActorError, ObjectLostError) as loss:
            self._replace(one, loss)
            return None
        except RayTaskError as failure:
            raise failure.cause if isinstance(failure.cause, EdgePotionError) else failure from None
        self.losses.pop(None, None)
        self.idle.append(one.worker)
        return result

    def _replace(self, one: AtWork, loss: Exception) -> None:
        import ray

        ray.kill(one.worker)
        number = one.slice.number if one.slice else None
        self.losses[number] += 1
        reason = str(loss).strip().splitlines()[-1].strip()
        if self.losses[number] > MOST_LOSSES:
            when = "before they could begin" if number is None else f"over shard {number}"
            raise AccessError(
                f"{self.losses[number]} workers of the Ray cluster were lost {when} (the last: {reason}); each machine "
                "needs edge-potion[train,ray], and memory for the teacher"
            )
        if one.slice is not None:
            log.warning("features: a worker was lost, and shard %d is made by another (%s)", number, reason)
            self.again.append(one.slice)
        self.add()


def _sent(teacher: Teacher, on_ray: OnRay, trust_remote_code: bool) -> SentTeacher:
    import ray

    patterns = (*TEACHER_FILES, "*.py") if trust_remote_code else TEACHER_FILES
    parcel = packed(teacher.folder, files_of(teacher.folder, patterns))
    device, contents = "cuda" if on_ray.gpus else "cpu", [ray.put(parcel.contents)]
    return SentTeacher(parcel.digest, contents, device, trust_remote_code, teacher.name, teacher.revision)


def _room(on_ray: OnRay) -> int:
    """How many workers the cluster has room for.

    Raises:
        InputError: for none.
    """
    import ray

    there = ray.cluster_resources()
    wanted = {"CPU": on_ray.cpus, "GPU": on_ray.gpus}
    room = min((int(there.get(kind, 0) // amount) for kind, amount in wanted.items() if amount), default=1)
    if not room:
        raise InputError(
            f"the Ray cluster has no room for a worker with {_needs(on_ray)}; ask for less, or say how many workers "
            "there shall be, and they are waited for"
        )
    return room


def _needs(on_ray: OnRay) -> str:
    return f"{on_ray.cpus:g} CPUs and {on_ray.gpus:g} GPUs"
