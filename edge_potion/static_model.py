"""StaticModel: a table of token vectors, its tokenizer and its card; its numpy `encode` is the oracle of every test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.folders import BUILT_IN, find_folder, read_json
from edge_potion.manifest import check_files, read_manifest
from edge_potion.tokens import TokenIds, file_text, is_plain, open_tokenizer, pad_id, plain, tokenize, unk_id
from edge_potion.writing import written_whole

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DEFAULT_MAX_TOKENS", "NORM_EPS", "ST_FOLDERS", "UNSET", "Card", "StaticModel", "Unset", "write_model_files"]

DEFAULT_MAX_TOKENS = 512  # Model2Vec's, for folders that do not say
NORM_EPS = 1e-12  # a norm below it counts as zero; torch.nn.functional.normalize's
LARGEST_VALUE = 1e9  # the sum of 131,072 rows of it, squared over any dimension, still fits float32
POOL_CHUNK = 65_536  # rows gathered at once, so that a text of any length is pooled in bounded memory
ST_FOLDERS = (".", "0_StaticEmbedding")  # where sentence-transformers keeps a StaticEmbedding module


class Unset:
    """Type of UNSET: "the model decides", where None already means "no limit"."""

    def __repr__(self) -> str:
        return "<the model's own>"


UNSET = Unset()


@dataclass(frozen=True)
class Card:
    """What a model says of itself.

    Attributes:
        name: a short name, for people.
        normalize: whether vectors are scaled to unit length.
        max_tokens: where a text is cut; None means never.
        config: config.json as it was read, for the keys that are not ours.
        readme: README.md with its YAML header, or "".
        recipe: recipe.toml, how the model was made, or "".
    """

    name: str
    normalize: bool = True
    max_tokens: int | None = DEFAULT_MAX_TOKENS
    config: Mapping[str, Any] = field(default_factory=dict)
    readme: str = ""
    recipe: str = ""


@dataclass(frozen=True)
class StaticModel:
    """A static embedding model.

    Attributes:
        table: (V, D) float32, finite; row i is the vector of token id i. The rows of [PAD] and [UNK] are zero.
        tokenizer: gives ids in 0..V-1; padding, truncation and special tokens are off.
        card: what the model says of itself.

    Raises:
        ModelFormatError: the table does not fit the tokenizer, or holds NaN or inf.
    """

    table: np.ndarray
    tokenizer: Tokenizer
    card: Card

    def __post_init__(self) -> None:
        from tokenizers import Tokenizer

        if not is_plain(self.tokenizer):
            object.__setattr__(self, "tokenizer", plain(Tokenizer.from_str(self.tokenizer.to_str())))
        object.__setattr__(self, "table", _checked_table(self.table, self))

    def __reduce__(self) -> tuple[type[StaticModel], tuple[np.ndarray, Tokenizer, Card]]:
        """A copy is made anew, so that its tokenizer is plain and its table read-only too."""
        return type(self), (self.table, self.tokenizer, self.card)

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, revision: str | None = None) -> StaticModel:
        """Read a Model2Vec or sentence-transformers StaticEmbedding folder, or download one from the hub.

        Reads float16, float32, float64 and int8 tables, with or without row `weights` and token `mapping`.

        Args:
            model: path of a folder, or a hub id such as "minishlab/potion-base-8M"; by default the model that comes
                with edge-potion, potion-256d-minilm.
            revision: branch, tag or commit, for hub ids.

        Raises:
            InputError: there is no such folder, and the hub did not give it.
            ModelFormatError: a file is missing, truncated, foreign or inconsistent with the others.
        """
        return _read(find_folder(model, revision), name=str(model or BUILT_IN))

    @property
    def dim(self) -> int:
        """D, the width of a vector."""
        return int(self.table.shape[1])

    @cached_property
    def unk_id(self) -> int | None:
        """Id of the unknown token, where the tokenizer has one."""
        return unk_id(self.tokenizer)

    @cached_property
    def pad_id(self) -> int | None:
        """Id of the padding token, where the tokenizer has one."""
        return pad_id(self.tokenizer)

    @property
    def dropped_ids(self) -> tuple[int, ...]:
        """Ids that count for nothing in a mean; their rows are zero."""
        return tuple(special for special in (self.pad_id, self.unk_id) if special is not None)

    def encode(self, texts: str | Iterable[str], max_tokens: int | Unset | None = UNSET) -> np.ndarray:
        """Vectors of `texts`, in plain numpy: the reference that every other path is held to.

        Tokenize, cut at `max_tokens`, drop [UNK], take the mean of the rows, normalize. The sum is in float64.
        A text without a known token gives zeros.

        Args:
            texts: one text, or any number of them.
            max_tokens: where to cut; the model's own limit unless given; None means never.

        Returns:
            (D,) float32 for a single str, else (B, D) float32.

        Raises:
            InputError: an item is not a str, or holds a lone surrogate.
        """
        batch = [texts] if isinstance(texts, str) else list(texts)
        limit = self.card.max_tokens if isinstance(max_tokens, Unset) else max_tokens
        vectors = self.pool(tokenize(self.tokenizer, batch, limit))
        return vectors[0] if isinstance(texts, str) else vectors

    def pool(self, ids: TokenIds) -> np.ndarray:
        """(B, D) float32: mean of the known rows of each text, of unit length when the card says so."""
        sums = np.zeros((len(ids.lengths), self.dim), np.float64)  # (B, D)
        for place, tokens in enumerate(ids.split()):
            known = tokens[~np.isin(tokens, self.dropped_ids)]
            for begin in range(0, len(known), POOL_CHUNK):
                sums[place] += self.table[known[begin : begin + POOL_CHUNK]].sum(axis=0, dtype=np.float64)
            sums[place] /= max(len(known), 1)
        if self.card.normalize:
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), NORM_EPS)
        return sums.astype(np.float32)

    def save(self, folder: str | Path) -> Path:
        """Write a folder that Model2Vec and sentence-transformers load as it is, replacing a model of that name.

        Raises:
            InputError: the folder cannot be written, or holds something else than a model.
        """
        with written_whole(Path(folder)) as beside:
            write_model_files(beside, self, {"embeddings": self.table})
        return Path(folder).expanduser()


def write_model_files(folder: Path, model: StaticModel, tensors: Mapping[str, np.ndarray]) -> None:
    """Write the files of a model folder, with `tensors` in the place of the float32 table.

    Args:
        folder: an existing folder.
        model: its tokenizer and card are written as they are.
        tensors: `embeddings` (V, D) and optionally `weights` (V,) float32; a row is embeddings[i] * weights[i].
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    card = model.card
    config = {
        **card.config,
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "tokenizer_name": card.config.get("tokenizer_name", card.name),
        "hidden_dim": model.dim,
        "seq_length": 1_000_000,  # what Model2Vec writes: the length is bounded by max_length alone
        "normalize": card.normalize,
        "max_length": card.max_tokens,
        "pooling": "mean",
        "embedding_dtype": str(tensors["embeddings"].dtype),
    }
    config.pop("vocabulary_quantization", None)  # the mapping was resolved when the model was read
    modules = [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.models.StaticEmbedding"}]
    if card.normalize:
        modules.append({"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"})
    try:
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors")
    except SafetensorError as failure:  # a full disk, which is no OSError there
        raise InputError(f"cannot write the table of {card.name} ({failure})") from failure
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(file_text(model.tokenizer, card.max_tokens), encoding="utf-8")
    for name, text in (("README.md", card.readme), ("recipe.toml", card.recipe)):
        if text:
            (folder / name).write_text(text, encoding="utf-8")


def _checked_table(table: np.ndarray, model: StaticModel) -> np.ndarray:
    name = model.card.name
    if table.ndim != 2 or 0 in table.shape:
        raise ModelFormatError(f"{name}: the table has shape {table.shape}; (tokens, dimensions) was expected")
    ids = model.tokenizer.get_vocab(with_added_tokens=True).values()
    wanted = max(ids, default=-1) + 1
    if len(table) != wanted:
        raise ModelFormatError(
            f"{name}: the table has {len(table)} rows and the tokenizer {wanted} tokens; "
            "model.safetensors and tokenizer.json are not of the same model"
        )
    rows = np.array(table, np.float32)  # a copy: two rows are zeroed below
    if not np.isfinite(rows).all() or np.abs(rows).max() > LARGEST_VALUE:
        bad = int(np.argmax(~(np.abs(rows) <= LARGEST_VALUE).all(axis=1)))
        raise ModelFormatError(f"{name}: row {bad} of the table holds NaN, inf or a value beyond {LARGEST_VALUE:g}")
    rows[list(model.dropped_ids)] = 0
    rows.flags.writeable = False
    return rows


def _read(folder: Path, name: str) -> StaticModel:
    home = next((folder / sub for sub in ST_FOLDERS if (folder / sub / "model.safetensors").is_file()), None)
    if home is None:
        raise ModelFormatError(
            f"{folder} holds no model.safetensors; a Model2Vec or sentence-transformers StaticEmbedding folder was "
            "expected (a transformer is turned into one with `edge-potion distill`)"
        )
    if home == folder:  # a bundle tells what its files were
        check_files(folder, read_manifest(folder), ["config.json", "model.safetensors", "tokenizer.json"])
    tokenizer_file = home / "tokenizer.json"
    tokenizer = open_tokenizer(tokenizer_file)
    table, is_st_layout = _read_table(home / "model.safetensors", tokenizer.get_vocab_size())
    card = _read_card(folder, name, is_st_layout)
    if is_st_layout:  # a StaticEmbedding is cut where its tokenizer.json says, and nowhere else
        truncation = read_json(tokenizer_file).get("truncation") or {}
        card = replace(card, max_tokens=_checked_limit(truncation.get("max_length"), tokenizer_file))
    return StaticModel(table, tokenizer, card)


def _read_table(file: Path, tokens: int) -> tuple[np.ndarray, bool]:
    """The (V, D) float32 table with weights and mapping folded in, and whether sentence-transformers wrote it.

    A mapping of another length than the tokenizer's `tokens` is refused before it makes a small file a large table.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            found = {key: tensors.get_tensor(key) for key in tensors.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError, TypeError, AttributeError) as failure:  # the last two: a dtype numpy lacks
        raise ModelFormatError(f"{file} is no safetensors file that can be read ({failure})") from failure
    is_st_layout = "embedding.weight" in found
    rows = found.get("embedding.weight", found.get("embeddings"))
    if rows is None:
        raise ModelFormatError(
            f"{file} holds {', '.join(sorted(found)) or 'no tensor'}; 'embeddings' (Model2Vec) or 'embedding.weight' "
            "(sentence-transformers) was expected"
        )
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32, np.float64, np.int8):
        raise ModelFormatError(
            f"{file}: the table is {rows.dtype} of shape {rows.shape}; float16, float32, float64 or int8 of shape "
            "(tokens, dimensions) was expected"
        )
    if (mapping := found.get("mapping")) is not None:
        if mapping.ndim != 1 or mapping.dtype.kind not in "iu" or not ((mapping >= 0) & (mapping < len(rows))).all():
            raise ModelFormatError(f"{file}: 'mapping' does not give a row in 0..{len(rows) - 1} for each token")
        if len(mapping) != tokens:
            raise ModelFormatError(f"{file}: 'mapping' has {len(mapping)} entries, and the tokenizer {tokens} tokens")
        rows = rows[mapping]
    table = rows.astype(np.float32)
    if (weights := found.get("weights")) is not None:
        if weights.shape != (len(table),) or weights.dtype.kind != "f":
            raise ModelFormatError(
                f"{file}: 'weights' is {weights.dtype} of shape {weights.shape}; floats, {len(table)} of them, expected"
            )
        table *= weights.astype(np.float32)[:, None]
    return table, is_st_layout


def _read_card(folder: Path, name: str, is_st_layout: bool) -> Card:
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    normalize = config.get("normalize")
    if is_st_layout or normalize is None:
        normalize = _has_normalize_module(folder) if is_st_layout else False
    max_tokens = config.get("max_length", DEFAULT_MAX_TOKENS)
    if not isinstance(normalize, bool):
        raise ModelFormatError(f"{folder / 'config.json'}: normalize is {normalize!r}; true or false was expected")
    _checked_limit(max_tokens, folder / "config.json")
    texts = {}
    for file in ("README.md", "recipe.toml"):
        try:
            texts[file] = (folder / file).read_text(encoding="utf-8") if (folder / file).is_file() else ""
        except (OSError, ValueError) as failure:
            raise ModelFormatError(f"{folder / file} cannot be read as UTF-8 text ({failure})") from failure
    short_name = Path(name).name if Path(name).is_dir() else name
    return Card(short_name, normalize, max_tokens, config, texts["README.md"], texts["recipe.toml"])


def _checked_limit(max_tokens: object, file: Path) -> int | None:
    if max_tokens is None or (type(max_tokens) is int and max_tokens > 0):
        return max_tokens
    raise ModelFormatError(f"{file}: max_length is {max_tokens!r}; a positive number or null was expected")


def _has_normalize_module(folder: Path) -> bool:
    file = folder / "modules.json"
    if not file.is_file():
        return False
    try:
        modules = json.loads(file.read_text(encoding="utf-8"))
        return any(str(module["type"]).endswith(".Normalize") for module in modules)
    except (OSError, ValueError, TypeError, KeyError) as failure:
        raise ModelFormatError(f"{file} is no list of sentence-transformers modules ({failure})") from failure
