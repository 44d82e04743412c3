"""Upload a trained model to the model hub, through huggingface-hub."""

from __future__ import annotations

from pathlib import Path

from edge_potion.errors import InputError
from edge_potion.folders import HUB_ID, MODEL_FILES

__all__ = ["check_push", "push"]


def check_push(hub_id: str) -> None:
    """Ask the hub, before hours of work, whether it knows us and would take the name.

    Raises:
        InputError: no hub id, not logged in, or the hub cannot be reached.
    """
    if not HUB_ID.fullmatch(hub_id):
        raise InputError(f"{hub_id!r} is no hub id; USER/NAME was expected")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        HfApi().whoami()
    except (LocalTokenNotFoundError, HfHubHTTPError, OSError) as failure:
        reason = str(failure).strip().split("\n")[0]
        raise InputError(
            f"cannot push to {hub_id!r} ({reason}); log in with `hf auth login`, or leave --push-to-hub out"
        ) from failure


def push(folder: Path, hub_id: str) -> str:
    """Upload the files of a model folder into the repository `hub_id`, which is made when it is not there.

    Returns:
        Its address.

    Raises:
        InputError: the hub refuses it, or cannot be reached; the folder stays as it is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        address = api.create_repo(hub_id, exist_ok=True)
        api.upload_folder(
            repo_id=hub_id,
            folder_path=folder,
            allow_patterns=list(MODEL_FILES),
            commit_message="Upload a static embedding model trained by edge-potion",
        )
    except (HfHubHTTPError, OSError, ValueError) as failure:
        reason = str(failure).strip().split("\n")[0]
        raise InputError(f"the hub did not take {hub_id!r} ({reason}); the model is in {folder}") from failure
    return str(address)
