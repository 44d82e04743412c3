"""The teacher: load a transformers encoder from a folder or the hub; texts -> ids -> pooled token vectors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from edge_potion.errors import InputError, ModelFormatError, RecipeError, require
from edge_potion.progress import progress_bar
from edge_potion.st_pipeline import Pipeline, Step, read_pipeline
from edge_potion.tokens import sound

from .pooling import Pooling, mean_of_tokens, own_pooling
from .special_tokens import special_tokens
from .teacher_files import find_teacher, licence_of, transformer_home
from .teacher_name import revision_of, teacher_name
from .teacher_tokenizer import own_copy, prompt_tokens_of, read_tokenizer

__all__ = ["Teacher", "load_teacher", "torch_device"]

require("torch", "transformers", extra="train", purpose="training and distilling")

log = logging.getLogger("edge_potion")

NO_LIMIT = 10**9  # transformers writes a number far beyond for a tokenizer that has none
# Padded tokens a batch: on two CPU cores 1,500 sentences took 6.5 s at 2,048 and 8.3 s at 8,192 (caches); a GPU wants
# more to be busy, and all-MiniLM-L6-v2's or mxbai's states of 32,768 tokens fit any.
CPU_TOKENS, GPU_TOKENS = 2048, 32_768


@dataclass(frozen=True)
class Teacher:
    """A loaded teacher.

    Attributes:
        model: the transformers encoder, in eval mode, on `device`.
        tokenizer: its tokenizer, adding special tokens, with padding and truncation off.
        name: hub id, or what its folder or card calls it (see `teacher_name`).
        revision: commit it was read from, "" for a folder.
        licence: from its card, "" when it has none.
        device: torch device, "cpu" or "cuda".
        folder: where its files lie.
        pipeline: what sentence-transformers would do with a text.
        most_tokens: where sentence-transformers would cut a text, special tokens included; None where nothing says.
        keeps_end: whether it would keep the last tokens of a text, and not the first.
        special_ids: of the tokens that transformers names special.
    """

    model: Any
    tokenizer: Tokenizer
    folder: Path
    name: str
    revision: str
    licence: str
    device: str
    pipeline: Pipeline = field(default_factory=Pipeline)
    most_tokens: int | None = None
    keeps_end: bool = False
    special_ids: Sequence[int] = ()

    @property
    def width(self) -> int:
        """H, the width of its token vectors."""
        return int(self.model.config.hidden_size)

    @property
    def longest(self) -> int | None:
        """How many tokens of a text it reads, special ones included; None where nothing says."""
        limits = [limit for limit in (self._positions, self.most_tokens) if limit is not None]
        return min(limits, default=None)

    @property
    def _positions(self) -> int | None:
        import torch

        positions = getattr(self.model.config, "max_position_embeddings", None)
        if not isinstance(positions, int) or positions < 1:
            return None
        tables = (each for each in self.model.modules() if isinstance(each, torch.nn.Embedding))
        offset = next((each.padding_idx for each in tables if each.num_embeddings == positions), None)
        return positions if offset is None else positions - offset - 1  # RoBERTa counts from its padding id on

    @cached_property
    def prompt_tokens(self) -> int:
        """How many tokens its prompt takes at the start, special ones included; 0 without one."""
        return prompt_tokens_of(self.tokenizer, self.pipeline.prompt, self.special_ids)

    def prompted(self, prompt: str) -> Teacher:
        """The same teacher with another prompt before every text, in the place of its default; "" leaves that."""
        if not prompt:
            return self
        return replace(self, pipeline=replace(self.pipeline, prompts={"": prompt}, default_prompt=None))

    def sequences(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Teacher ids of each text, special tokens around them, its prompt before it; [] without a token.

        Args:
            texts: N texts.
            max_tokens: where to cut, special tokens included, if the teacher does not cut before.

        Raises:
            RecipeError: no room is left beside the special tokens.
        """
        around = special_tokens(self.tokenizer)
        longest = min(max_tokens, self.longest or max_tokens)
        inside = longest - len(around.before) - len(around.after)
        if inside < 1:
            raise RecipeError(f"max_tokens is {longest}, which {self.name}'s special tokens fill; more were expected")
        kept = slice(-inside, None) if self.keeps_end else slice(inside)
        prompt = self.pipeline.prompt
        with sound(f"the tokenizer of teacher {self.name} cannot tokenize"):
            encodings = self.tokenizer.encode_batch_fast([prompt + text for text in texts], add_special_tokens=False)
        return [around.around(encoding.ids[kept]) if encoding.ids else [] for encoding in encodings]

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
                "model", what the teacher's own modules do.
            precision: of the arithmetic, the name of a torch dtype; the weights stay float32.
            show_progress: a bar on stderr.

        Returns:
            (N, W) float32, in the order given; NaN where the teacher gives it, zeros where nothing is left to pool. W
            is that of `pooled_width`.

        Raises:
            ModelFormatError: pooling="model", and the teacher has a module that cannot be followed.
        """
        import torch

        chosen = self._pooling(pooling)
        order = np.argsort([len(sequence) for sequence in sequences], kind="stable")
        pooled = np.empty((len(sequences), chosen.width), np.float32)  # (N, W)
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
                with torch.autocast(kind, enabled=False):
                    pooled[places] = chosen.pool(states, mask).cpu().numpy()
                bar.update(len(places))
        return pooled

    def pooled_width(self, pooling: str) -> int:
        """W, the width of what `vectors` gives by `pooling`."""
        return self._pooling(pooling).width

    def _pooling(self, pooling: str) -> Pooling:
        return {"whole": lambda: self._whole, "tokens": lambda: self._tokens, "model": lambda: self._own}[pooling]()

    @cached_property
    def _whole(self) -> Pooling:
        self._tell_what_is_left_out("a token's vector")
        return mean_of_tokens(self.width)

    @cached_property
    def _tokens(self) -> Pooling:
        self._tell_what_is_left_out('pooling = "tokens"')
        around = special_tokens(self.tokenizer)
        return mean_of_tokens(self.width, len(around.before), len(around.after))

    def _tell_what_is_left_out(self, by: str) -> None:
        """Say what of the teacher's modules does not count where its token vectors are averaged."""
        usual = ("Pooling", "Normalize", "Dropout")
        if left_out := [step.kind for step in self.pipeline.steps[1:] if step.kind not in usual]:
            log.warning("teacher %s: %s is of its Transformer alone, without %s", self.name, by, ", ".join(left_out))

    @cached_property
    def _own(self) -> Pooling:
        usual = Step("Pooling", self.folder, {"pooling_mode": [_usual_mode(self.model)]})
        return own_pooling(
            self.pipeline.steps[1:] or [usual], self.width, self.prompt_tokens, self.pipeline.truncate_dim
        )


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
    pipeline = read_pipeline(folder)
    home = transformer_home(folder, pipeline)
    settings = pipeline.steps[0].config if pipeline.steps else {}
    fast = read_tokenizer(home, settings.get("processor_kwargs") or {}, trust_remote_code)
    tokenizer = own_copy(fast, bool(settings.get("do_lower_case")), home)
    with sound(f"{name} is no encoder that transformers loads from safetensors"):
        # float32 whatever the file holds: transformers would take a float16 file's own type.
        model, report = AutoModel.from_pretrained(
            home,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    # transformers makes up what the file lacks. What BERTs add for their first token is not used here.
    if made_up := sorted(key for key in report["missing_keys"] if "pooler" not in key):
        raise ModelFormatError(f"{home} lacks {len(made_up)} of the model's weights, {made_up[0]} the first of them")
    _check_fit(model, tokenizer, str(name))
    model = model.to(device).eval()
    log.info("teacher %s: %d dimensions, on %s", name, model.config.hidden_size, device)
    limit = settings.get("max_seq_length") or fast.model_max_length
    return Teacher(
        model=model,
        tokenizer=tokenizer,
        folder=folder,
        name=teacher_name(name, folder),
        revision=revision_of(name, folder),
        licence=licence_of(folder),
        device=device,
        pipeline=pipeline,
        most_tokens=limit if limit < NO_LIMIT else None,
        keeps_end=fast.truncation_side == "left",
        special_ids=fast.all_special_ids,
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


def _usual_mode(model: Any) -> str:
    """How sentence-transformers pools a transformer that comes without modules.json."""
    architectures = getattr(model.config, "architectures", None) or [""]
    is_causal = architectures[0].endswith("ForCausalLM") and getattr(model.config, "is_causal", True)
    return "lasttoken" if is_causal else "mean"


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
