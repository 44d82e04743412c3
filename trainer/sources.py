"""What a run is made from, found and fingerprinted before any work begins: teacher, corpus, features, device."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_potion.errors import InputError

from .recipe import Recipe
from .run_folder import Made
from .shards import open_features
from .teacher import Teacher, find_teacher, load_teacher, teacher_digest, torch_device

__all__ = ["FEATURIZED", "Sources", "find_sources"]

log = logging.getLogger("edge_potion")

FEATURIZED = "2-featurize"  # the folder of shards in a run's folder


@dataclass(frozen=True)
class Sources:
    """What a run is made from.

    Attributes:
        teacher: its files.
        corpus: the files below, or what stands in their place.
        corpus_files: local files; empty for the recipe's hub set, or the texts of `features`.
        features: shards made elsewhere, or None.
        device: "cpu", or a CUDA device that is there.
        revision, trust_remote_code: as for `load_teacher`.
        show_progress: bars on stderr.
    """

    teacher: Made
    corpus: Made
    corpus_files: Sequence[Path]
    features: Made | None
    device: str
    revision: str | None
    trust_remote_code: bool
    show_progress: bool

    @cached_property
    def loaded_teacher(self) -> Teacher:
        """The teacher, loaded when a stage first needs it; InputError when its files have changed since the start."""
        teacher = load_teacher(
            self.teacher.name, revision=self.revision, device=self.device, trust_remote_code=self.trust_remote_code
        )
        if teacher_digest(teacher.folder) != self.teacher.fingerprint:
            raise InputError(
                f"the files of teacher {self.teacher.name} changed while this run was at work; run it again"
            )
        return teacher


def find_sources(
    recipe: Recipe,
    *,
    teacher: str | Path | None = None,
    corpus: str | Path | Sequence[str | Path] = (),
    features: str | Path | None = None,
    device: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> Sources:
    """Find everything a run needs.

    Args:
        recipe: names the teacher and the hub set that are used when no other is given.
        teacher: folder or hub id.
        corpus: local files: .txt, .jsonl, .parquet, and .gz, .xz, .zst of the first two.
        features: folder of (text, vector) shards, or of a run that holds some, in the place of stage 2; without
            `corpus`, their texts are the corpus too.
        device: torch device; by default cuda where there is one, else cpu.
        revision: branch, tag or commit of a teacher from the hub.
        trust_remote_code: run Python code that comes with the teacher.
        show_progress: bars on stderr.

    Raises:
        InputError: something is not there, or the features were made by another teacher.
        ModelFormatError: the features' manifest is damaged.
    """
    device = torch_device(device)
    files = [Path(file).expanduser() for file in ([corpus] if isinstance(corpus, str | Path) else corpus)]
    for file in files:
        if not file.is_file():
            raise InputError(f"there is no corpus file {file}")
    name = str(teacher or recipe.teacher)
    folder = find_teacher(name, revision, trust_remote_code)
    found_teacher = Made(name, folder, teacher_digest(folder))
    shards = _found_features(Path(features).expanduser(), found_teacher) if features else None
    if files:
        texts = Made("corpus", files[0].parent, _digest(files))
    else:
        texts = shards or Made("hub", Path(), f"{recipe.corpus.source} {recipe.corpus.subset}")
    return Sources(found_teacher, texts, files, shards, device, revision, trust_remote_code, show_progress)


def _found_features(folder: Path, teacher: Made) -> Made:
    inside = folder / FEATURIZED
    folder = inside if inside.is_dir() else folder
    found = open_features(folder)
    made_by = found.manifest.get("teacher_digest")
    if made_by is None:
        log.warning("features: %s does not say which teacher made them; it is taken to be %s", folder, teacher.name)
    elif made_by != teacher.fingerprint:
        raise InputError(
            f"the features in {folder} were made by {found.manifest.get('teacher')} ({made_by}), "
            f"and {teacher.name} is {teacher.fingerprint}"
        )
    return Made("features", folder, found.digest())


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as failure:
            raise InputError(f"cannot read corpus file {file} ({failure})") from failure
    return digest.hexdigest()[:12]
