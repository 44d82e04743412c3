"""Upload a model folder or a bundle to the model hub, through huggingface-hub."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from edge_potion.bundle import is_bundle, open_bundle
from edge_potion.errors import AccessError, InputError, ModelFormatError
from edge_potion.escaping import terminal
from edge_potion.find import HUB_ID, MODEL_FILES, WITHOUT_PHRASES, files_of, read_json
from edge_potion.labels import is_classifier
from edge_potion.manifest import MANIFEST, check_files
from edge_potion.progress import unfailing_stderr

__all__ = ["check_push", "push"]

log = logging.getLogger(__name__)

MOST_NAMED = 5  # of the files that stay
CARD = "README.md"  # of a bundle, the one file that its owner may have changed


@unfailing_stderr()  # the hub's library shows bars
def push(folder: str | Path, hub_id: str, *, private: bool = False) -> str:
    """Upload a model folder or a bundle into the repository `hub_id`, which is made when it is not there.

    Only files of the model go: of a bundle those that its manifest names, of a model folder those that a model can
    have. Others stay, and a warning names them.

    Args:
        private: make a repository that others do not see.

    Returns:
        Its address.

    Raises:
        InputError: no hub id, no such folder, or private and there already for everybody to see.
        AccessError: the hub does not know us, refuses it, or cannot be reached; the folder stays as it is.
        ModelFormatError: the folder is no whole model or bundle.
    """
    _check_name(hub_id)
    folder = Path(folder)
    files = _files_to_push(folder)
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        check_push(hub_id)
        address = api.create_repo(hub_id, exist_ok=True, private=private or None)
        if private and not api.repo_info(hub_id).private:  # it was there before
            raise InputError(f"{hub_id} is there already, and everybody can see it; make it private or name another")
        api.upload_folder(
            repo_id=hub_id,
            folder_path=folder,
            allow_patterns=[file.relative_to(folder).as_posix() for file in files],
            commit_message=f"Upload a {_kind_of(folder)} made by edge-potion",
        )
    except InputError:
        raise
    except AccessError as failure:
        raise AccessError(f"{failure}; the model is in {folder}") from failure
    except Exception as failure:  # as below; a large file that fails is a bare RuntimeError
        raise AccessError(
            f"the hub did not take {hub_id!r} ({_reason(failure)}); the model is in {folder}"
        ) from failure
    return str(address)


def _kind_of(folder: Path) -> str:
    file = folder / "config.json"
    is_one = file.is_file() and is_classifier(read_json(file))
    return "text classifier" if is_one else "static embedding model"


def check_push(hub_id: str) -> None:
    """Find out, before hours of work, whether the hub knows us and the name is one that it can take.

    Raises:
        InputError: no hub id.
        AccessError: not logged in, or the hub cannot be reached.
    """
    _check_name(hub_id)
    from huggingface_hub import HfApi

    try:
        HfApi().whoami()
    except Exception as failure:  # its own, and those of the HTTP library that its version uses: no base is shared
        raise AccessError(
            f"cannot push to {hub_id!r} ({_reason(failure)}); check the network and your login (`hf auth login`)"
        ) from failure


def _check_name(hub_id: str) -> None:
    if not HUB_ID.fullmatch(hub_id) or "/" not in hub_id:
        raise InputError(f"{hub_id!r} is no hub id; USER/NAME was expected")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # of no __all__

    try:
        validate_repo_id(hub_id)
    except HFValidationError as failure:
        raise InputError(f"{hub_id!r} is no hub id: {failure}") from failure


def _files_to_push(folder: Path) -> list[Path]:
    """The files of a whole model or bundle."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; the folder of a model or of a bundle was expected")
    files = _of_bundle(folder) if is_bundle(folder) else _of_model(folder)
    _tell_of_others(folder, files)
    return files


def _of_bundle(folder: Path) -> list[Path]:
    sums = open_bundle(folder).sums
    if not sums:
        raise ModelFormatError(f"{folder} has no {MANIFEST}, so nothing tells whether it is whole; export it again")
    check_files(folder, sums, [name for name in sums if name != CARD])
    return [folder / name for name in (*sums, MANIFEST)]


def _of_model(folder: Path) -> list[Path]:
    from edge_potion.static_model import StaticModel

    StaticModel.from_pretrained(folder)
    return files_of(folder, (*MODEL_FILES, f"{WITHOUT_PHRASES}/*"))


def _tell_of_others(folder: Path, files: Iterable[Path]) -> None:
    ours = set(files)
    others = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file() and file not in ours)
    if others:
        names = ", ".join(map(terminal, others[:MOST_NAMED])) + ", ..." * (len(others) > MOST_NAMED)
        log.warning("note: not part of the model, and left here: %s (%d in all)", names, len(others))


def _reason(failure: Exception) -> str:
    return str(failure).strip().split("\n")[0]
