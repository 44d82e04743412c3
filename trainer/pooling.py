"""A teacher's token vectors -> one vector a text: the mean over them, or what the teacher's own modules do.

Poolings, projections and their order are those of sentence-transformers 6 (its modules Pooling, Dense, LayerNorm and
Normalize), of which only weights in safetensors are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_potion.errors import ModelFormatError
from edge_potion.model_table import dense_layer, tensors_of
from edge_potion.st_pipeline import Step

__all__ = ["Pooling", "mean_of_tokens", "own_pooling"]

ACTIVATIONS = "torch.nn.modules."  # where activations that are known by name come from
LAYER_NORM_EPS = 1e-5  # torch.nn.LayerNorm's
FEWEST = 1e-9  # what a mean is divided by at least; the library's

# (states (B, L, H) f32, mask (B, L) int64) -> (B, W) f32; both are torch tensors on one device.
Pool = Callable[[Any, Any], Any]
Follow = Callable[[Any], Any]  # (B, W) -> (B, W')


@dataclass(frozen=True)
class Pooling:
    """How token vectors become one vector a text.

    Attributes:
        width: W, of that vector.
        pool: the function that does it.
    """

    width: int
    pool: Pool


def mean_of_tokens(width: int, before: int = 0, after: int = 0) -> Pooling:
    """The mean of all token vectors but the first `before` and the last `after`: the special ones, say."""
    import torch

    def pool(states: Any, mask: Any) -> Any:
        places = torch.arange(mask.shape[1], device=mask.device)
        ends = mask.sum(dim=1, keepdim=True) - after  # (B, 1)
        counted = ((places >= before) & (places < ends)).float()
        share = counted / counted.sum(dim=1, keepdim=True).clamp(min=1)  # (B, L)
        return torch.bmm(share[:, None, :], states)[:, 0]

    return Pooling(width, pool)


def own_pooling(steps: Sequence[Step], width: int, prompt_tokens: int, truncate_dim: int | None) -> Pooling:
    """What a teacher's own modules do with token vectors of `width`.

    Args:
        steps: those behind its transformer.
        width: H.
        prompt_tokens: tokens that a prompt takes at the start, special ones included; 0 without one.
        truncate_dim: how many values are kept in the end; None for all.

    Raises:
        ModelFormatError: they do not begin with a Pooling, or one of them cannot be followed; names it.
    """
    first = next((step for step in steps if step.kind != "Dropout"), None)
    if first is None or first.kind != "Pooling":
        found = "nothing" if first is None else first.kind
        raise ModelFormatError(f"behind the teacher's Transformer stands {found}; a Pooling was expected")
    modes = first.config["pooling_mode"]
    if first.config.get("embedding_dimension", width) != width:
        raise ModelFormatError(
            f"{first.folder}: embedding_dimension is {first.config['embedding_dimension']!r}, and the teacher's token "
            f"vectors have {width} values"
        )
    left_out = 0 if first.config.get("include_prompt", True) else prompt_tokens
    width *= len(modes)
    followed: list[Follow] = []
    for step in steps[list(steps).index(first) + 1 :]:
        follow, width = _followed(step, width)
        followed.append(follow)
    kept = width if truncate_dim is None else min(truncate_dim, width)

    def pool(states: Any, mask: Any) -> Any:
        import torch

        vectors = torch.cat([_pooled(mode, states, mask, left_out) for mode in modes], dim=1)
        for follow in followed:
            vectors = follow(vectors)
        return vectors[:, :kept]

    return Pooling(kept, pool)


def _pooled(mode: str, states: Any, mask: Any, left_out: int) -> Any:
    """(B, H) by one mode, without the first `left_out` tokens; the texts begin at the first token of a row."""
    import torch

    counted = mask.clone()
    counted[:, :left_out] = 0
    places = torch.arange(mask.shape[1], device=mask.device)
    if mode in ("cls", "lasttoken"):
        from_end = len(places) - places if mode == "cls" else places + 1  # no two alike: argmax may take any of those
        place = (counted * from_end).argmax(dim=1)
        return states[torch.arange(len(states), device=states.device), place]
    if mode == "max":
        return states.masked_fill(counted[:, :, None] == 0, float("-inf")).max(dim=1).values
    weights = counted.float()
    if mode == "weightedmean":
        weights = weights * (places + 1)
    total = weights.sum(dim=1, keepdim=True).clamp(min=FEWEST)  # (B, 1)
    sums = torch.bmm(weights[:, None, :], states)[:, 0]
    return sums / (total.sqrt() if mode == "mean_sqrt_len_tokens" else total)


def _followed(step: Step, width: int) -> tuple[Follow, int]:
    """The function of a module behind the Pooling, and how wide its vectors are."""
    import torch

    if step.kind == "Dropout":
        return lambda vectors: vectors, width
    if step.kind == "Normalize":
        return lambda vectors: torch.nn.functional.normalize(vectors, dim=-1), width
    if step.kind == "LayerNorm":
        return _layer_norm(step, width), width
    if step.kind == "Dense":
        return _dense(step, width)
    raise ModelFormatError(f"{step.folder}: the module {step.kind} behind a Pooling cannot be followed")


def _layer_norm(step: Step, width: int) -> Follow:
    import torch

    file = step.folder / "model.safetensors"
    if not file.is_file():
        raise ModelFormatError(f"{file} is missing; nothing pickled is loaded: save the module as safetensors")
    tensors = tensors_of(file)
    if {name: tensor.shape for name, tensor in tensors.items()} != {"norm.weight": (width,), "norm.bias": (width,)}:
        raise ModelFormatError(f"{file} holds no norm.weight and norm.bias of {width} values")
    weight, bias = (torch.from_numpy(tensors[name].astype("float32")) for name in ("norm.weight", "norm.bias"))

    def follow(vectors: Any) -> Any:
        on = vectors.device
        return torch.nn.functional.layer_norm(vectors, (width,), weight.to(on), bias.to(on), LAYER_NORM_EPS)

    return follow


def _dense(step: Step, width: int) -> tuple[Follow, int]:
    import torch

    layer = dense_layer(step)
    if layer.weight.shape[1] != width:
        raise ModelFormatError(
            f"{step.folder}: the module Dense takes {layer.weight.shape[1]} values, and gets {width} of them"
        )
    activation = _activation(step)
    weight, bias = torch.from_numpy(layer.weight.copy()), torch.from_numpy(layer.bias.copy())
    residual = None if layer.residual is None else torch.from_numpy(layer.residual.copy())

    def follow(vectors: Any) -> Any:
        on = vectors.device
        out = activation(torch.nn.functional.linear(vectors, weight.to(on), bias.to(on)))
        return out if residual is None else out + torch.nn.functional.linear(vectors, residual.to(on))

    return follow, len(layer.weight)


def _activation(step: Step) -> Any:
    """The activation that a Dense names: a module of torch.nn that takes no arguments; Tanh where it names none."""
    import torch

    name = step.config.get("activation_function", f"{ACTIVATIONS}activation.Tanh")
    short = str(name).rpartition(".")[2]
    if str(name) not in (f"{ACTIVATIONS}activation.{short}", f"{ACTIVATIONS}linear.Identity", f"torch.nn.{short}"):
        raise ModelFormatError(f"{step.folder}: the activation {name!r} of Dense is none of torch.nn's")
    kind = getattr(torch.nn, short, None)
    try:
        if kind is None or not issubclass(kind, torch.nn.Module):
            raise TypeError("no module of torch.nn")
        return kind()
    except TypeError as failure:
        raise ModelFormatError(
            f"{step.folder}: the activation {name!r} of Dense cannot be used: {failure}"
        ) from failure
