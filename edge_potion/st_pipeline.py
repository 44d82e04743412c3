"""What a sentence-transformers folder says becomes of a text: its modules in their order, prompts, width of a vector.

One reader for static models and for teachers. Two tables tell what becomes of each module and of each key that
sentence-transformers 6 writes; whatever is in neither is refused by name, because it may change a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from edge_potion.errors import ModelFormatError
from edge_potion.find import read_json, read_json_list

__all__ = [
    "MODULES",
    "REFUSED_MODULES",
    "SETTINGS",
    "Key",
    "Pipeline",
    "Step",
    "module_paths",
    "read_pipeline",
]


MODULES_FILE = "modules.json"
USUAL_POOLING = "1_Pooling"
SETTINGS_FILE = "config_sentence_transformers.json"
# Old names that sentence-transformers still looks for, in its order.
TRANSFORMER_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)
NEED_CONFIG = ("Pooling", "Dense", "LayerNorm")  # the library does not load them without
OF_THE_LIBRARY = "sentence_transformers."  # what the types of its own modules begin with


@dataclass(frozen=True)
class Key:
    """What becomes of a key.

    Attributes:
        fate: "honoured"; "nothing", because no vector of ours hangs on it; or "refused".
        why: of the last two.
        fine: values of a refused key that state nothing.
    """

    fate: Literal["honoured", "nothing", "refused"]
    why: str = ""
    fine: tuple[Any, ...] = (None,)


HONOURED = Key("honoured")
OUTPUT = ("sentence_embedding", None)
# Keyword arguments for transformers' from_pretrained that change no float32 vector; the library drops the first itself.
LOADING = ("trust_remote_code", "torch_dtype", "dtype", "attn_implementation", "use_cache", "low_cpu_mem_usage")
TOKENIZING = ("trust_remote_code", "model_max_length", "truncation_side", "padding_side", "use_fast")

# The modules that we can follow, by the name of their class, and each key of their own configuration.
MODULES: Mapping[str, Mapping[str, Key]] = {
    "Transformer": {
        "max_seq_length": HONOURED,
        "do_lower_case": HONOURED,
        "transformer_task": Key("refused", "only the last hidden state is read", (None, "feature-extraction")),
        "modality_config": HONOURED,  # where a text goes; of other modalities nothing is asked
        "module_output_name": Key("refused", "only token vectors are pooled", (None, "token_embeddings")),
        "processing_kwargs": Key("refused", "texts are tokenized as tokenizer.json says", (None, {})),
        "unpad_inputs": Key("nothing", "how a batch is laid out in memory"),
        "query_length": Key("nothing", "no text is encoded as a query"),
        "document_length": Key("nothing", "no text is encoded as a document"),
        "query_expansion": Key("refused", "it is for models with a vector a token"),
        "tokenizer_name_or_path": Key("refused", "the tokenizer is that of the folder"),
        "model_kwargs": HONOURED,
        "processor_kwargs": HONOURED,
        "config_kwargs": HONOURED,
    },
    "StaticEmbedding": {},
    "Pooling": {"embedding_dimension": HONOURED, "pooling_mode": HONOURED, "include_prompt": HONOURED},
    "Dense": {
        "in_features": HONOURED,
        "out_features": HONOURED,
        "bias": HONOURED,
        "activation_function": HONOURED,
        "module_input_name": Key("refused", "only sentence vectors are projected", OUTPUT),
        "module_output_name": Key("refused", "only sentence vectors are projected", OUTPUT),
        "use_residual": HONOURED,
    },
    "LayerNorm": {"dimension": HONOURED},
    "Normalize": {
        "module_input_name": Key("refused", "only sentence vectors are normalized", OUTPUT),
        "module_output_name": Key("refused", "only sentence vectors are normalized", OUTPUT),
    },
    "Dropout": {"dropout": Key("nothing", "it is for training alone")},
}
# Those that we cannot, and why.
REFUSED_MODULES: Mapping[str, str] = {
    "Router": "queries and documents go different ways in it",
    "Asym": "queries and documents go different ways in it",
    "WordWeights": "its weights are those of another tokenizer",
    "WordEmbeddings": "its tokenizer is no tokenizer.json",
    "BoW": "it counts words",
    "CNN": "its vectors hang on the order of the tokens",
    "LSTM": "its vectors hang on the order of the tokens",
    "WeightedLayerPooling": "only the last layer is read",
    "CLIPModel": "it is for images",
    "SparseAutoEncoder": "its vectors are sparse",
    "SparseStaticEmbedding": "its vectors are sparse",
    "MLMTransformer": "its vectors are sparse",
    "SpladePooling": "its vectors are sparse",
    "MultiVectorMask": "it gives a vector a token",
    "HierarchicalTokenPooling": "it gives a vector a token",
    "LogitScore": "it gives scores and no vectors",
}
OLD_NAMES = {
    "word_embedding_dimension": "embedding_dimension",
    "model_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "config_args": "config_kwargs",
}
# sentence-transformers before 6 had a switch a mode; vectors of several are joined in this order.
POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# The keys of config_sentence_transformers.json. What else stands there is told by name, and nothing more: other
# libraries keep notes of their own in it.
SETTINGS: Mapping[str, Key] = {
    "model_type": Key("refused", "a model with one dense vector a text was expected", (None, "SentenceTransformer")),
    "__version__": Key("nothing", "who wrote the folder"),
    "requirements": Key("nothing", "what the other library needs"),
    "prompts": HONOURED,
    "default_prompt_name": HONOURED,
    "truncate_dim": HONOURED,
    "similarity_fn_name": Key("nothing", "how vectors are compared; ours are by their cosine"),
    "normalize": HONOURED,  # model2vec's, where there is no modules.json
    "max_length": HONOURED,
}
# Of an entry of modules.json; the list's order is that of the modules, whatever `idx` says.
ENTRY = {"idx", "name", "path", "type", "kwargs"}


@dataclass(frozen=True)
class Step:
    """One module of a pipeline.

    Attributes:
        kind: the name of its class, a key of MODULES.
        folder: where its files lie.
        config: its configuration, under the names of sentence-transformers 6.
    """

    kind: str
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pipeline:
    """What becomes of a text.

    Attributes:
        steps: the modules, in their order; none where there is no modules.json.
        prompts: text by name.
        default_prompt: name of the prompt that stands before every text, or None.
        truncate_dim: how many values of a vector are kept; None for all.
        settings: config_sentence_transformers.json as it was read.
    """

    steps: Sequence[Step] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    truncate_dim: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """What stands before every text."""
        return self.prompts.get(self.default_prompt or "", "")


def read_pipeline(folder: Path) -> Pipeline:
    """The pipeline that a folder states.

    Raises:
        ModelFormatError: a file is damaged, or states a module, a key or a value that we cannot follow; names it.
    """
    steps = [_step(folder, entry) for entry in _entries(folder)] or _steps_by_name(folder)
    return _with_settings(folder, steps)


def module_paths(folder: Path) -> list[str]:
    """The folders, inside `folder`, that its modules.json names; [] where it has none.

    Raises:
        ModelFormatError: modules.json is damaged, or names a path outside the folder.
    """
    return [path for entry in _entries(folder) if (path := _inside(entry["path"])) != "."]


def _entries(folder: Path) -> list[dict[str, Any]]:
    file = folder / MODULES_FILE
    if not file.is_file():
        return []
    entries = read_json_list(file)
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or "path" not in entry:
            raise ModelFormatError(f"{file} is no list of sentence-transformers modules with a type and a path each")
        if unknown := sorted(set(entry) - ENTRY):
            raise ModelFormatError(f"{file}: what a module's {', '.join(map(repr, unknown))} means is not known")
        try:
            _inside(entry["path"])
        except ValueError as failure:
            raise ModelFormatError(f"{file}: {failure}") from failure
    if not entries:
        raise ModelFormatError(f"{file} names no module")
    return entries


def _inside(path: object) -> str:
    """A relative path that stays inside the folder; "." for the folder itself."""
    parts = PurePosixPath(path).parts if isinstance(path, str) else ("..",)
    if ".." in parts or any(sign in str(path) for sign in ("\\", ":", "\0")) or str(path).startswith("/"):
        raise ValueError(f"the path {path!r} of a module leaves the folder")
    return PurePosixPath(*parts).as_posix()


def _steps_by_name(folder: Path) -> list[Step]:
    """What a folder that lost its modules.json still says: how a transformer is pooled."""
    if not (folder / USUAL_POOLING / "config.json").is_file():
        return []
    _warn("%s has a %s and no modules.json; it is taken for a transformer and that", folder, USUAL_POOLING)
    kinds = {"Transformer": "", "Pooling": USUAL_POOLING}
    return [_step(folder, {"type": f"{OF_THE_LIBRARY}models.{kind}", "path": kinds[kind]}) for kind in kinds]


def _step(folder: Path, entry: Mapping[str, Any]) -> Step:
    file = folder / MODULES_FILE
    kind = entry["type"].rpartition(".")[2]
    if kind in REFUSED_MODULES:
        raise ModelFormatError(f"{file}: the module {kind} cannot be followed: {REFUSED_MODULES[kind]}")
    if not entry["type"].startswith(OF_THE_LIBRARY) or kind not in MODULES:
        known = ", ".join(MODULES)
        raise ModelFormatError(f"{file}: the module {entry['type']!r} is not known; {known} can be followed")
    home = folder / _inside(entry["path"])
    names = TRANSFORMER_FILES if kind == "Transformer" else () if kind == "StaticEmbedding" else ("config.json",)
    config_file = next((home / name for name in names if (home / name).is_file()), None)
    if home == folder and kind != "Transformer":  # the config.json there is of the whole model
        config_file = None
    if config_file is None:
        if kind in NEED_CONFIG:
            raise ModelFormatError(f"{file}: the module {kind} has no config.json in {home}")
        return Step(kind, home)
    return Step(kind, home, _checked_config(kind, read_json(config_file), config_file))


def _checked_config(kind: str, found: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    config = {OLD_NAMES.get(key, key): value for key, value in found.items()}
    if kind == "Pooling":
        config = _with_mode(config, file)
    for key, value in config.items():
        if key not in MODULES[kind]:
            raise ModelFormatError(f"{file}: what {key} = {value!r} does to a vector of {kind} is not known")
        rule = MODULES[kind][key]
        if rule.fate == "refused" and value not in rule.fine:
            raise ModelFormatError(f"{file}: {key} = {value!r} of {kind} cannot be followed: {rule.why}")
    if kind == "Transformer":
        _check_transformer(config, file)
    return config


def _with_mode(config: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The switches of older versions as `pooling_mode`, a list of modes."""
    switches = {mode: config[key] for key, mode in POOLING_MODES.items() if key in config}
    rest = {key: value for key, value in config.items() if key not in POOLING_MODES}
    told = rest.get("pooling_mode", [mode for mode, on in switches.items() if on] or "mean")
    modes = [told] if isinstance(told, str) else told
    known = list(POOLING_MODES.values())
    if not isinstance(modes, list) or not modes or not all(mode in known for mode in modes):
        raise ModelFormatError(f"{file}: pooling_mode is {told!r}; of {', '.join(known)}, one or more were expected")
    return {**rest, "pooling_mode": modes}


def _check_transformer(config: Mapping[str, Any], file: Path) -> None:
    limit, lower = config.get("max_seq_length"), config.get("do_lower_case", False)
    if not (limit is None or (type(limit) is int and limit > 0)) or not isinstance(lower, bool | None):
        raise ModelFormatError(
            f"{file}: max_seq_length is {limit!r} and do_lower_case {lower!r}; a positive number or null, and true or "
            "false, were expected"
        )
    modalities = config.get("modality_config")
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    if modalities is not None and (not isinstance(modalities, dict) or modalities.get("text") != text):
        raise ModelFormatError(f"{file}: modality_config = {modalities!r} cannot be followed: {text} is, for texts")
    for key, known in (("model_kwargs", LOADING), ("config_kwargs", LOADING), ("processor_kwargs", TOKENIZING)):
        told = config.get(key) or {}
        if not isinstance(told, dict) or not set(told) <= set(known):
            raise ModelFormatError(f"{file}: {key} = {told!r} cannot be followed; {', '.join(known)} can")


def _with_settings(folder: Path, steps: Sequence[Step]) -> Pipeline:
    file = folder / SETTINGS_FILE
    if not file.is_file():
        return Pipeline(steps)
    settings = read_json(file)
    for key, value in settings.items():
        rule = SETTINGS.get(key)
        if rule is None and value:
            _warn("%s: %r means nothing to us, and is left out", file, key)
        elif rule is not None and rule.fate == "refused" and value not in rule.fine:
            raise ModelFormatError(f"{file}: {key} = {value!r} cannot be followed: {rule.why}")
    prompts, default, width = (settings.get(key) for key in ("prompts", "default_prompt_name", "truncate_dim"))
    prompts = {} if prompts is None else prompts
    if not isinstance(prompts, dict) or not all(isinstance(each, str | None) for each in prompts.values()):
        raise ModelFormatError(f"{file}: prompts is {prompts!r}; a text by each name was expected")
    prompts = {name: text or "" for name, text in prompts.items()}
    if default is not None and default not in ["query", "document", *prompts]:  # the library knows these two, empty
        raise ModelFormatError(f"{file}: default_prompt_name is {default!r}, which is none of {sorted(prompts)}")
    if not (width is None or (type(width) is int and width > 0)):
        raise ModelFormatError(f"{file}: truncate_dim is {width!r}; a positive number or null was expected")
    similarity = settings.get("similarity_fn_name") or "cosine"
    ends_in_unit_length = bool(steps) and steps[-1].kind == "Normalize"
    if similarity != "cosine" and not (similarity == "dot" and ends_in_unit_length):
        _warn("%s: vectors are compared by %r there, and by their cosine here", file, similarity)
    return Pipeline(steps, prompts, default, width, settings)


def _warn(words: str, *values: object) -> None:
    import logging  # some milliseconds of a start

    logging.getLogger("edge_potion").warning(words, *values)
