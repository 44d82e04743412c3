"""Upload a trained model to the model hub, through huggingface-hub."""

from __future__ import annotations

from pathlib import Path

from edge_potion.errors import AccessError, InputError
from edge_potion.find import HUB_ID, MODEL_FILES

__all__ = ["check_push", "push"]


def check_push(hub_id: str) -> None:
    """Find out, before hours of work, whether the hub knows us and the name is one that it can take.

    Raises:
        InputError: no hub id.
        AccessError: not logged in, or the hub cannot be reached.
    """
    if not HUB_ID.fullmatch(hub_id) or "/" not in hub_id:
        raise InputError(f"{hub_id!r} is no hub id; USER/NAME was expected")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # of no __all__

    try:
        validate_repo_id(hub_id)
    except HFValidationError as failure:
        raise InputError(f"{hub_id!r} is no hub id: {failure}") from failure
    try:
        HfApi().whoami()
    except Exception as failure:  # its own, and those of the HTTP library that its version uses: no base is shared
        reason = str(failure).strip().split("\n")[0]
        raise AccessError(
            f"cannot push to {hub_id!r} ({reason}); check the network and your login (`hf auth login`), "
            "or leave --push-to-hub out"
        ) from failure


def push(folder: Path, hub_id: str) -> str:
    """Upload the files of a model folder into the repository `hub_id`, which is made when it is not there.

    Returns:
        Its address.

    Raises:
        AccessError: the hub refuses it, or cannot be reached; the folder stays as it is.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(hub_id, exist_ok=True)
        api.upload_folder(
            repo_id=hub_id,
            folder_path=folder,
            allow_patterns=list(MODEL_FILES),
            commit_message="Upload a static embedding model trained by edge-potion",
        )
    except Exception as failure:  # as above; a large file that fails is a bare RuntimeError
        reason = str(failure).strip().split("\n")[0]
        raise AccessError(f"the hub did not take {hub_id!r} ({reason}); the model is in {folder}") from failure
    return str(address)
