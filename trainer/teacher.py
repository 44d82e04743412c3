"""The teacher: load a transformers encoder from a folder or the hub, and pool its token vectors."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.folders import find_folder, read_json
from edge_potion.progress import progress_bar

from .special_tokens import special_tokens

__all__ = ["Teacher", "find_teacher", "licence_of", "load_teacher", "teacher_digest", "torch_device"]

log = logging.getLogger("edge_potion")

# Weights as safetensors only: nothing pickled is ever loaded.
TEACHER_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "README.md", "1_Pooling/*")
# Padded tokens a batch: on two CPU cores 1,500 sentences took 6.5 s at 2,048 and 8.3 s at 8,192 (caches); a GPU wants
# more to be busy, and all-MiniLM-L6-v2's or mxbai's states of 32,768 tokens fit any.
CPU_TOKENS, GPU_TOKENS = 2048, 32_768


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
        folder: where its files lie.
    """

    model: Any
    tokenizer: Tokenizer
    folder: Path
    name: str
    revision: str
    licence: str
    device: str

    @property
    def width(self) -> int:
        """H, the width of its token vectors."""
        return int(self.model.config.hidden_size)

    @property
    def longest(self) -> int | None:
        """How many tokens it has positions for, special ones included; None where its configuration does not say."""
        import torch

        positions = getattr(self.model.config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions < 1:
            return None
        tables = (each for each in self.model.modules() if isinstance(each, torch.nn.Embedding))
        offset = next((each.padding_idx for each in tables if each.num_embeddings == positions), None)
        return positions if offset is None else positions - offset - 1  # RoBERTa counts from its padding id on

    def vectors(
        self,
        sequences: Sequence[Sequence[int]],
        *,
        pooling: str = "whole",
        precision: str = "float32",
        show_progress: bool = False,
    ) -> np.ndarray:
        """The last layer's token vectors of each sequence, pooled.

        Args:
            sequences: N sequences of teacher ids, special tokens among them where they are wanted.
            pooling: "whole", the mean over the sequence; "tokens", over all but the special tokens around the text;
                "model", the teacher's own pooling.
            precision: of the arithmetic, the name of a torch dtype; the weights stay float32.
            show_progress: a bar on stderr.

        Returns:
            (N, H) float32, in the order given; NaN where the teacher gives it, zeros where nothing is left to pool.

        Raises:
            ModelFormatError: pooling="model", and the teacher's is another than the mean or the first token.
        """
        import torch

        share_of = self._pooling(pooling)
        order = np.argsort([len(sequence) for sequence in sequences], kind="stable")
        pooled = np.empty((len(sequences), self.width), np.float32)  # (N, H)
        kind = torch.device(self.device).type
        with (
            torch.inference_mode(),
            torch.autocast(kind, getattr(torch, precision), enabled=precision != "float32"),
            progress_bar(show_progress, total=len(order), desc="teacher", unit=" texts") as bar,
        ):
            for places in _batches(order, sequences, CPU_TOKENS if kind == "cpu" else GPU_TOKENS):
                ids, mask = _padded([sequences[place] for place in places])  # (B, L) int64, twice
                ids, mask = ids.to(self.device), mask.to(self.device)
                states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()  # (B, L, H)
                share = share_of(mask)  # (B, L) f32
                with torch.autocast(kind, enabled=False):
                    pooled[places] = torch.bmm(share[:, None, :], states)[:, 0].cpu().numpy()
                bar.update(len(places))
        return pooled

    def _pooling(self, pooling: str) -> Callable[[Any], Any]:
        """A function from the mask (B, L) of a batch to the share (B, L) float32 of each token in its vector."""
        import torch

        if pooling == "model":
            pooling = _own_pooling(self.folder)
        around = special_tokens(self.tokenizer)
        before, after = (len(around.before), len(around.after)) if pooling == "tokens" else (0, 0)

        def share(mask: Any) -> Any:
            places = torch.arange(mask.shape[1], device=mask.device)
            if pooling == "first":
                return (places == 0).float().expand(mask.shape)
            ends = mask.sum(dim=1, keepdim=True) - after  # (B, 1)
            counted = ((places >= before) & (places < ends)).float()
            return counted / counted.sum(dim=1, keepdim=True).clamp(min=1)

        return share


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

    device = torch_device(device)
    folder = find_teacher(name, revision, trust_remote_code)
    tokenizer = _read_tokenizer(folder, trust_remote_code)
    try:
        # float32 whatever the file holds: transformers would take a float16 file's own type.
        model = AutoModel.from_pretrained(
            folder, trust_remote_code=trust_remote_code, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError) as failure:
        reason = str(failure).strip().split("\n")[0]
        raise ModelFormatError(f"{name} is no encoder that transformers loads from safetensors ({reason})") from failure
    _check_fit(model, tokenizer, str(name))
    model = model.to(device).eval()
    log.info("teacher %s: %d dimensions, on %s", name, model.config.hidden_size, device)
    return Teacher(
        model=model,
        tokenizer=tokenizer,
        folder=folder,
        name=folder.resolve().name if Path(name).is_dir() else str(name),
        revision="" if Path(name).is_dir() else folder.name,  # a hub snapshot's folder is named after its commit
        licence=licence_of(folder),
        device=device,
    )


def torch_device(name: str | None) -> str:
    """`name`, or by default cuda where there is one, else cpu; InputError when torch sees no such device."""
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, and torch sees no CUDA device here; use --device cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as failure:  # a device that torch does not know, or was not built for
        raise InputError(f"device {name!r} cannot be used here ({str(failure).splitlines()[0]})") from failure
    return name


def find_teacher(name: str | Path, revision: str | None = None, trust_remote_code: bool = False) -> Path:
    """The folder of a teacher, downloaded when `name` is a hub id; InputError when there is none."""
    return find_folder(name, revision, (*TEACHER_FILES, "*.py") if trust_remote_code else TEACHER_FILES)


def teacher_digest(folder: Path) -> str:
    """Twelve hex digits that change with what decides a teacher's vectors: weights, tokenizer, configuration, code."""
    digest = hashlib.sha256()
    matched = {file for pattern in (*TEACHER_FILES, "*.py") for file in folder.glob(pattern) if file.is_file()}
    for file in sorted(matched - {folder / "README.md"}):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:12]


def _own_pooling(folder: Path) -> str:
    """ "mean" or "first", as sentence-transformers would pool; the mean where nothing says otherwise."""
    modules = folder / "modules.json"
    try:
        steps = [str(step["type"]).rpartition(".")[2] for step in json.loads(modules.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        steps = []
    except (OSError, ValueError, TypeError, KeyError) as failure:
        raise ModelFormatError(f"{modules} is no list of sentence-transformers modules ({failure})") from failure
    if strange := set(steps) - {"Transformer", "Pooling", "Normalize"}:
        raise ModelFormatError(
            f'{folder}: the teacher ends in {", ".join(sorted(strange))}, which pooling = "model" cannot follow; '
            'use pooling = "tokens"'
        )
    file = folder / "1_Pooling" / "config.json"
    config = read_json(file) if file.is_file() else {"pooling_mode": "mean"}
    old_style = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    modes = config.get("pooling_mode") or old_style
    mode = modes if isinstance(modes, str) else "+".join(map(str, modes))
    known = {"mean": "mean", "pooling_mode_mean_tokens": "mean", "cls": "first", "pooling_mode_cls_token": "first"}
    if mode not in known:
        raise ModelFormatError(f'{file}: the teacher pools by {mode}; mean or cls was expected, or pooling = "tokens"')
    return known[mode]


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


def licence_of(folder: Path) -> str:
    """The licence that the card in a model's folder names, "" when it names none."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError  # huggingface-hub brings it

    try:
        readme = folder / "README.md"
        found = metadata_load(readme) if readme.is_file() else None
    except (OSError, ValueError, YAMLError):  # a card that cannot be read is a card that says nothing
        found = None
    return str((found or {}).get("license", ""))


def _batches(order: np.ndarray, sequences: Sequence[Sequence[int]], tokens: int) -> list[np.ndarray]:
    """Cut `order` (by rising length) into batches of at most `tokens` padded tokens."""
    batches, begin = [], 0
    for end in range(1, len(order) + 1):
        full = end < len(order) and (end + 1 - begin) * len(sequences[order[end]]) > tokens
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
