"""The teacher: load a transformers encoder from a folder or the hub, and take the mean of its token vectors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.folders import find_folder

__all__ = ["Teacher", "load_teacher"]

log = logging.getLogger("edge_potion")

# Weights as safetensors only: nothing pickled is ever loaded.
TEACHER_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "README.md", "1_Pooling/*")
TOKENS_PER_BATCH = 8192  # padded; larger batches gain nothing on a CPU and still fit every GPU


@dataclass(frozen=True)
class Teacher:
    """A loaded teacher.

    Attributes:
        model: the transformers encoder, in eval mode, on `device`.
        tokenizer: its tokenizer, adding special tokens, with padding and truncation off.
        name: hub id, or the folder's name.
        revision: commit it was read from, "" for a folder.
        licence: from its card, "" when it has none.
        device: torch device, "cpu" or "cuda".
    """

    model: Any
    tokenizer: Tokenizer
    name: str
    revision: str
    licence: str
    device: str

    @property
    def width(self) -> int:
        """H, the width of its token vectors."""
        return int(self.model.config.hidden_size)

    def mean_vectors(self, sequences: Sequence[Sequence[int]], *, show_progress: bool = False) -> np.ndarray:
        """Mean of the last layer's token vectors over each whole sequence.

        Args:
            sequences: N sequences of teacher ids, special tokens among them where they are wanted.
            show_progress: a bar on stderr.

        Returns:
            (N, H) float32, finite, in the order given.

        Raises:
            ModelFormatError: the teacher gives NaN or inf.
        """
        import torch
        from tqdm import tqdm

        order = np.argsort([len(sequence) for sequence in sequences], kind="stable")
        means = np.empty((len(sequences), self.width), np.float32)  # (N, H)
        with (
            torch.inference_mode(),
            tqdm(total=len(order), desc="teacher", unit=" texts", disable=not show_progress) as bar,
        ):
            for places in _batches(order, sequences):
                ids, mask = _padded([sequences[place] for place in places])  # (B, L) int64, twice
                ids, mask = ids.to(self.device), mask.to(self.device)
                states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, L, H)
                share = mask / mask.sum(dim=1, keepdim=True)  # (B, L) f32
                means[places] = torch.bmm(share[:, None, :].float(), states)[:, 0].cpu().numpy()
                bar.update(len(places))
        if not np.isfinite(means).all():
            bad = int(np.argmin(np.isfinite(means).all(axis=1)))
            raise ModelFormatError(f"teacher {self.name} gives NaN or inf, first for sequence {bad}")
        return means


def load_teacher(
    name: str | Path, *, revision: str | None = None, device: str | None = None, trust_remote_code: bool = False
) -> Teacher:
    """Load a transformers encoder, such as a sentence-transformer, with its tokenizer.

    Args:
        name: folder or hub id.
        revision: branch, tag or commit, for hub ids.
        device: torch device; by default cuda where there is one, else cpu.
        trust_remote_code: run Python code that comes with the model; off unless asked for.

    Raises:
        InputError: no such folder, the hub did not give it, or the device is absent.
        ModelFormatError: it is no encoder that transformers loads from safetensors, or has no fast tokenizer.
    """
    import torch
    from transformers import AutoModel

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device!r} was asked for, and torch sees no CUDA device here; use --device cpu")
    folder = find_folder(name, revision, (*TEACHER_FILES, "*.py") if trust_remote_code else TEACHER_FILES)
    tokenizer = _read_tokenizer(folder, trust_remote_code)
    try:
        model = AutoModel.from_pretrained(folder, trust_remote_code=trust_remote_code, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError) as failure:
        reason = str(failure).strip().split("\n")[0]
        raise ModelFormatError(f"{name} is no encoder that transformers loads from safetensors ({reason})") from failure
    _check_fit(model, tokenizer, str(name))
    try:
        model = model.to(device).eval()
    except (RuntimeError, AssertionError) as failure:  # a device that torch does not know, or was not built for
        raise InputError(f"device {device!r} cannot be used here ({str(failure).splitlines()[0]})") from failure
    log.info("teacher %s: %d dimensions, on %s", name, model.config.hidden_size, device)
    return Teacher(
        model=model,
        tokenizer=tokenizer,
        name=folder.resolve().name if Path(name).is_dir() else str(name),
        revision="" if Path(name).is_dir() else folder.name,  # a hub snapshot's folder is named after its commit
        licence=_licence(folder / "README.md"),
        device=device,
    )


def _check_fit(model: Any, tokenizer: Tokenizer, name: str) -> None:
    if getattr(model.config, "is_encoder_decoder", False):
        raise ModelFormatError(
            f"{name} is an encoder with a decoder ({model.config.model_type}); pass an encoder alone"
        )
    try:
        known = model.get_input_embeddings().num_embeddings
    except (NotImplementedError, AttributeError):  # a model of an unusual shape, which cannot be asked
        return
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if highest >= known:
        raise ModelFormatError(f"{name}: its tokenizer gives ids up to {highest}, and the model knows {known}")


def _read_tokenizer(folder: Path, trust_remote_code: bool) -> Tokenizer:
    from transformers import AutoTokenizer

    try:
        fast = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
        tokenizer = Tokenizer.from_str(fast.backend_tokenizer.to_str())  # our own copy: transformers keeps changing its
    except (OSError, ValueError, AttributeError) as failure:
        reason = str(failure).strip().split("\n")[0]
        raise ModelFormatError(f"{folder} has no fast tokenizer that transformers loads ({reason})") from failure
    tokenizer.no_padding()  # some tokenizer.json pad every text to a fixed length
    tokenizer.no_truncation()
    return tokenizer


def _licence(readme: Path) -> str:
    from huggingface_hub import metadata_load
    from yaml import YAMLError  # huggingface-hub brings it

    try:
        found = metadata_load(readme) if readme.is_file() else None
    except (OSError, ValueError, YAMLError):  # a card that cannot be read is a card that says nothing
        found = None
    return str((found or {}).get("license", ""))


def _batches(order: np.ndarray, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Cut `order` (by rising length) into batches of at most TOKENS_PER_BATCH padded tokens."""
    batches, begin = [], 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and (end + 1 - begin) * len(sequences[order[end]]) > TOKENS_PER_BATCH
        if full or end == len(order):
            batches.append(order[begin:end])
            begin = end
    return batches


def _padded(sequences: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    import torch

    rows = [torch.tensor(sequence, dtype=torch.int64) for sequence in sequences]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long()
