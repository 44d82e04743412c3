"""Arguments that people know from sentence-transformers and model2vec: what each means here, or what to use instead.

An argument is another name of one of ours, or has values that ask for what is done anyway, or asks for something that
is done to the vectors in the end. Anything else is refused: nothing is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from edge_potion.batches import Batch, Says
from edge_potion.errors import InputError, require
from edge_potion.tokens import UNSET, Unset
from edge_potion.unit_length import unit_length

__all__ = [
    "Embedder",
    "SaysPrompts",
    "encode_in_other_words",
    "options_at_load",
    "prompt_named",
    "refuse_other_lengths",
    "stream_in_other_words",
]


class Embedder(Protocol):
    """As much of a model as is needed here."""

    @property
    def dim(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def says(self) -> SaysPrompts: ...
    @property
    def encode(self) -> Callable[..., np.ndarray]: ...
    @property
    def _encode(self) -> Callable[..., np.ndarray]: ...


class SaysPrompts(Says, Protocol):
    """What a bundle or a card says."""

    @property
    def prompts(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Word:
    """What becomes of an argument of another library.

    Attributes:
        ours: the argument of ours that it is another name of.
        fine: values that ask for what is done anyway; EVERY where all do, or where the argument is followed elsewhere.
        instead: what to use where another value is given.
    """

    ours: str = ""
    fine: Sequence[Any] = ()
    instead: str = ""


EVERY = ("every value",)
NONE = (None, False)
FOLLOWED = Word(fine=EVERY)  # here, by a function of its own
AT_LOAD = "EdgeModel.from_pretrained({}=...)"
THREADS = Word(fine=NONE, instead=f"texts are embedded by threads side by side, {AT_LOAD.format('threads')}")

# Of `encode`.
ENCODE: Mapping[str, Word] = {
    "sentences": Word("texts"),
    "inputs": Word("texts"),
    "show_progress_bar": Word("show_progress"),
    "max_length": Word("max_tokens"),
    "max_seq_length": Word("max_tokens"),
    "output_value": Word(
        fine=("sentence_embedding",), instead="a text has one vector; those of its tokens are rows of StaticModel.table"
    ),
    "precision": Word(
        fine=("float32",),
        instead="vectors are float32, of which model.quantize makes int8 and binary codes; the model's own precision "
        f"is {AT_LOAD.format('precision')}",
    ),
    "pool": THREADS,
    "chunk_size": THREADS,
    "target_devices": THREADS,
    "use_multiprocessing": Word(fine=EVERY),  # threads work side by side, and the vectors are the same
    "multiprocessing_threshold": Word(fine=EVERY),
    "task": Word(fine=(None,), instead="prompts are chosen by prompt_name, encode_query or encode_document"),
    "convert_to_numpy": FOLLOWED,
    "convert_to_tensor": FOLLOWED,
    "normalize_embeddings": FOLLOWED,
    "normalize": FOLLOWED,
    "prompt_name": FOLLOWED,
    "device": FOLLOWED,
}
# What `encode` and `stream` take for not given; a test holds it to their signatures. Theirs may be wrapped.
DEFAULTS: Mapping[str, Any] = {
    "batch_size": 1024,
    "max_tokens": UNSET,
    "truncate_dim": None,
    "prompt": None,
    "show_progress": False,
}
# Other names that an argument of ours never had in those libraries, or had here.
RENAMED = {"dim": "truncate_dim", "dims": "truncate_dim", "dimensionality": "truncate_dim", "text": "texts"}

SECRET = ("token", "use_auth_token")  # never shown
FETCH = "the model hub's own settings, such as HF_TOKEN, HF_HOME, HF_HUB_OFFLINE and `hf download`"
OF_ENCODE = "an argument of encode: {}"
# Of `from_pretrained`, where None asks for nothing.
LOAD: Mapping[str, Word] = {
    "model_name_or_path": Word("model"),
    "path": Word("model"),
    "quantize_to": Word("precision"),
    "dimensionality": Word(fine=NONE, instead=OF_ENCODE.format("truncate_dim")),
    "truncate_dim": Word(fine=NONE, instead=OF_ENCODE.format("truncate_dim")),
    "max_length": Word(fine=(None,), instead=OF_ENCODE.format("max_tokens")),
    "vocabulary_quantization": Word(fine=NONE, instead="`edge-potion export --quantize int8`, which keeps every token"),
    "force_download": Word(fine=NONE, instead=FETCH),
    "local_files_only": Word(fine=NONE, instead=FETCH),
    "token": Word(fine=(None,), instead=FETCH),
    "use_auth_token": Word(fine=(None,), instead=FETCH),
    "cache_folder": Word(fine=NONE, instead=FETCH),
    "subfolder": Word(fine=(None, "", "."), instead="the path of that folder as the model's"),
    "backend": FOLLOWED,
    "trust_remote_code": Word(fine=EVERY),  # no code of a model is ever run
    "similarity_fn_name": Word(fine=(None, "cosine"), instead="similarity, which is the cosine"),
    "prompts": Word(fine=(None, {}), instead=OF_ENCODE.format("prompt")),
    "default_prompt_name": Word(fine=(None,), instead=OF_ENCODE.format("prompt_name")),
    "model_kwargs": Word(fine=(None, {}), instead="provider=, precision=, graph= and threads="),
    **dict.fromkeys(
        ("modules", "model_card_data", "config_kwargs", "processor_kwargs", "tokenizer_kwargs"),
        Word(fine=(None, {}), instead="the files of the model's folder, which say it"),
    ),
    "normalize": FOLLOWED,
    "device": FOLLOWED,
}


def encode_in_other_words(
    model: Embedder, texts: Any, misplaced: Sequence[Any], ours: Mapping[str, Any], words: Mapping[str, Any]
) -> Any:
    """What `model.encode` gives for such arguments: `ours` of its own, and the `words` that it does not have.

    Returns:
        What encode returns, or as `convert_to_tensor` and `convert_to_numpy` ask for it.
    """
    asked = _asked(model, "encode", texts, misplaced, ours, words)
    return asked.finish(model._encode(**asked.options))


def stream_in_other_words(
    model: Any, texts: Any, misplaced: Sequence[Any], ours: Mapping[str, Any], words: Mapping[str, Any]
) -> Iterator[Batch]:
    """The same of `model.stream`, where the vectors of each batch are finished."""
    asked = _asked(model, "stream", texts, misplaced, ours, words)
    return (Batch(batch.texts, asked.finish(batch.vectors)) for batch in model._stream(**asked.options))


def prompt_named(model: Embedder, name: object) -> str:
    """The prompt of that name; "query" and "document" are empty where the model has none, as in the other library."""
    prompts = {"query": "", "document": "", **model.says.prompts}
    if not isinstance(name, str) or name not in prompts:
        raise InputError(f"prompt_name is {name!r}; the model's prompts are {', '.join(prompts)}")
    return prompts[name]


def options_at_load(ours: Mapping[str, Any], defaults: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a `from_pretrained`: `ours`, and what the `words` that it does not have stand for.

    `normalize` is left to `refuse_other_lengths`, once the model is open.

    Args:
        ours: its own arguments.
        defaults: what they are where they are not given.
        words: the others.

    Raises:
        InputError: an argument asks for what is done otherwise here; says how.
        TypeError: there is no such argument.
    """
    given = _given(ours, defaults)
    options = dict(ours)
    for name, value in words.items():
        if value is None and name in LOAD:
            continue
        if name == "device":
            options |= _provider(value, given) if "provider" in defaults else _provider(value, {})
        elif name == "backend":
            _refuse_other_backend(value, "onnx" if "provider" in defaults else "numpy")
        else:
            options |= _translated("from_pretrained", name, value, LOAD, given, list(defaults))
    return {name: value for name, value in options.items() if name in defaults}


def _provider(device: object, given: Mapping[str, Any]) -> dict[str, str]:
    if str(device).partition(":")[0] != "cpu":
        raise InputError(f"device is {str(device)!r}; EdgeModel.from_pretrained(provider='cuda') says where to run")
    if given.get("provider", "cpu") != "cpu":
        raise TypeError("device and provider both say where to run; give one of them")
    return {"provider": "cpu"}


def _refuse_other_backend(backend: object, here: str) -> None:
    if backend != here:
        raise InputError(f"backend is {backend!r}, and this kind of model runs by {here} alone; leave it out")


def refuse_other_lengths(says: Says, words: Mapping[str, Any]) -> None:
    """Raise InputError where `normalize` was asked of `from_pretrained` otherwise than the model does."""
    if words.get("normalize") not in (None, says.normalize):
        raise InputError(
            f"normalize is {words['normalize']!r}, and the model itself says {says.normalize}; where it says False, "
            "encode(normalize_embeddings=True) gives vectors of unit length"
        )


@dataclass(frozen=True)
class _Asked:
    options: dict[str, Any]
    finish: Callable[[np.ndarray], Any]


def _asked(
    model: Embedder,
    verb: str,
    texts: Any,
    misplaced: Sequence[Any],
    ours: Mapping[str, Any],
    words: Mapping[str, Any],
) -> _Asked:
    if misplaced:
        raise TypeError(f"{verb} takes texts alone by place: name what follows, as in {verb}(texts, batch_size=32)")
    given = _given(ours, DEFAULTS)
    if not isinstance(texts, Unset):
        given["texts"] = texts
    options = {**DEFAULTS, **given}
    for name, value in words.items():
        options |= _translated(verb, name, value, ENCODE, given, list(DEFAULTS))
    if "texts" not in options:
        raise TypeError(f"{verb} is given no texts")
    options |= _prompt(model, options, words.get("prompt_name"))
    _refuse_other_device(model, words.get("device"))
    _refuse_cut_lengths(model, options["truncate_dim"], words)
    return _Asked(options, partial(_finished, as_unit=_as_unit(model, words), form=_form(words)))


def _given(ours: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ours.items() if value is not defaults[name]}


def _translated(
    verb: str, name: str, value: Any, table: Mapping[str, Word], ours: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Any]:
    """The argument of ours that a word stands for; {} where it asks for what is done anyway."""
    word = table.get(name)
    if word is None:
        raise TypeError(f"{verb} has no argument {name!r}{_nearest(name, [*table, *names, *ours])}")
    if word.ours:
        if word.ours not in names and word.ours != "texts":
            raise InputError(f"{name} is {value!r}, which this {verb} does not do; EdgeModel's does, by {word.ours}")
        if word.ours in ours:
            raise TypeError(f"{name} and {word.ours} are the same argument of {verb}; give one of them")
        return {word.ours: bool(value) if word.ours == "show_progress" else getattr(value, "value", value)}
    if word.fine is not EVERY and not any(value is fine or value == fine for fine in word.fine):
        shown = "given" if name in SECRET else repr(value)
        raise InputError(f"{name} is {shown}, which {verb} does not do; use instead: {word.instead}")
    return {}


def _nearest(name: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    nearest = [RENAMED[name]] if name in RENAMED else get_close_matches(name, names, 1, 0.75)
    return f"; use {nearest[0]}" if nearest else ""


def _prompt(model: Embedder, options: Mapping[str, Any], name: object) -> dict[str, str]:
    if name is None:
        return {}
    if options.get("prompt") is not None:
        raise TypeError("prompt and prompt_name both say what stands before a text; give one of them")
    return {"prompt": prompt_named(model, name)}


def _refuse_other_device(model: Embedder, device: object) -> None:
    if device is not None and str(device).partition(":")[0] != model.device:
        raise InputError(
            f"device is {str(device)!r}, and this model runs on {model.device!r}; where it runs is chosen at load, as "
            "in EdgeModel.from_pretrained(provider='cuda')"
        )


def _refuse_cut_lengths(model: Embedder, truncate_dim: object, words: Mapping[str, Any]) -> None:
    if truncate_dim is not None and words.get("normalize_embeddings") is False and model.says.normalize:
        raise InputError(
            "normalize_embeddings is False, and the vectors of this model have unit length again after truncate_dim; "
            "leave it out, or cut the vectors of encode yourself"
        )


def _as_unit(model: Embedder, words: Mapping[str, Any]) -> bool:
    """Whether vectors are to be scaled to unit length in the end."""
    if words.get("normalize") is False and model.says.normalize:
        raise InputError("normalize is False, and the vectors of this model have unit length, whatever is asked for")
    return bool(words.get("normalize") or words.get("normalize_embeddings")) and not model.says.normalize


def _form(words: Mapping[str, Any]) -> str:
    form = "tensor" if words.get("convert_to_tensor") else "numpy" if words.get("convert_to_numpy", True) else "tensors"
    if form != "numpy":
        require("torch", extra="train", purpose="a tensor instead of a numpy array")
    return form


def _finished(vectors: np.ndarray, as_unit: bool, form: str) -> Any:
    """(D,) or (B, D): a numpy array, a "tensor", or a list of "tensors"."""
    if as_unit:
        vectors = unit_length(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)
    if form == "numpy":
        return vectors
    from importlib import import_module  # who has it asks for it

    tensor = import_module("torch").from_numpy(vectors)
    return tensor if form == "tensor" or tensor.ndim == 1 else list(tensor)
