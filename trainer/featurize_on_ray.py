"""Featurize on Ray: workers of a cluster encode slices of the corpus; what they give is written by who asked for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_potion.find import files_of
from edge_potion.parcel import packed, unpacked
from edge_potion.ray_cluster import joined
from edge_potion.ray_workers import Needs, RayWorkers

from .featurize import Encoded, EncodedSlice, Slice, encoded
from .recipe import FeaturizeRecipe
from .teacher import Teacher, load_teacher
from .teacher_files import TEACHER_FILES

if TYPE_CHECKING:
    from ray import ObjectRef

__all__ = ["OnRay", "encoded_on_ray"]


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
        needs = Needs(on_ray.cpus, on_ray.gpus, "train,ray")
        workers: RayWorkers[Slice, Encoded] = RayWorkers(
            Worker, (_sent(teacher, on_ray, trust_remote_code), recipe), needs, lambda part: f"shard {part.number}"
        )
        for part, result in workers.answers(slices, min(on_ray.workers or needs.room(), left)):
            yield EncodedSlice(part, result)


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
        self.teacher = self.sent.arrived().prompted(self.recipe.prompt)

    def work(self, part: Slice) -> Encoded:
        """What the teacher gives for the sentences of a slice."""
        return encoded(self.teacher, part.texts, self.recipe)


def _sent(teacher: Teacher, on_ray: OnRay, trust_remote_code: bool) -> SentTeacher:
    import ray

    patterns = (*TEACHER_FILES, "*.py") if trust_remote_code else TEACHER_FILES
    parcel = packed(teacher.folder, files_of(teacher.folder, patterns))
    device, contents = "cuda" if on_ray.gpus else "cpu", [ray.put(parcel.contents)]
    return SentTeacher(parcel.digest, contents, device, trust_remote_code, teacher.name, teacher.revision)
