"""StaticModel: a table of token vectors, its tokenizer and its card; its numpy `encode` is the oracle of every test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from edge_potion.batches import Batch, all_vectors, batches, options
from edge_potion.errors import InputError, ModelFormatError
from edge_potion.find import BUILT_IN, WITHOUT_PHRASES, find_folder
from edge_potion.head import Head
from edge_potion.model_folder import DEFAULT_MAX_TOKENS, Card, read_model, write_model_files
from edge_potion.peer_names import PeerNames
from edge_potion.phrases import Phrases
from edge_potion.tokens import UNSET, TokenIds, Unset, is_plain, pad_id, plain, tokenize_checked, unk_id
from edge_potion.unit_length import NORM_EPS
from edge_potion.writing import written_whole

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["DEFAULT_MAX_TOKENS", "NORM_EPS", "UNSET", "Card", "StaticModel", "Unset", "write_model_files"]

LARGEST_VALUE = 1e9  # the sum of 131,072 rows of it, squared over any dimension, still fits float32
POOL_CHUNK = 65_536  # rows gathered at once, so that a text of any length is pooled in bounded memory


@dataclass(frozen=True)
class StaticModel(PeerNames):
    """A static embedding model.

    Attributes:
        table: (V + P, D) float32, finite; row i is the vector of token id i, row V + i that of phrase i. The rows of
            [PAD] and [UNK] are zero.
        tokenizer: gives ids in 0..V-1; padding, truncation and special tokens are off.
        card: what the model says of itself.
        head: what it decides with, where it is a classifier.
        phrases: P pairs of tokens that have a row of their own; None where there are none.

    Raises:
        ModelFormatError: the table does not fit the tokenizer, the head or the phrases, or holds NaN or inf.
    """

    table: np.ndarray
    tokenizer: Tokenizer
    card: Card
    head: Head | None = None
    phrases: Phrases | None = None

    def __new__(cls, *parts: Any, **named: Any) -> StaticModel:
        """Say how a model is opened to who gives a name where its parts are expected."""
        if len(parts) == 1 and not named and isinstance(parts[0], str | Path):
            raise TypeError(f"a model is opened by StaticModel.from_pretrained({str(parts[0])!r})")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        from tokenizers import Tokenizer

        if not is_plain(self.tokenizer):
            object.__setattr__(self, "tokenizer", plain(Tokenizer.from_str(self.tokenizer.to_str())))
        object.__setattr__(self, "phrases", self.phrases or None)  # no pair at all is no phrases
        object.__setattr__(self, "table", _checked_table(self.table, self))
        if self.phrases is not None:
            _check_phrases(self.phrases, self)
        if self.head is not None:
            _check_head(self.head, self)

    def __reduce__(self) -> tuple[type[StaticModel], tuple[np.ndarray, Tokenizer, Card, Head | None, Phrases | None]]:
        """A copy is made anew, so that its tokenizer is plain and its table read-only too."""
        return type(self), (self.table, self.tokenizer, self.card, self.head, self.phrases)

    @classmethod
    def from_pretrained(
        cls, model: str | Path | None = None, *, revision: str | None = None, **words: Any
    ) -> StaticModel:
        """Read a Model2Vec or sentence-transformers StaticEmbedding folder, or download one from the hub.

        Reads float16, float32, float64 and int8 tables, with or without row `weights` and token `mapping`.

        Args:
            model: path of a folder, or a hub id such as "minishlab/potion-base-8M"; by default the model that comes
                with edge-potion, potion-256d-minilm.
            revision: branch, tag or commit, for hub ids.
            words: arguments of other libraries; see `edge_potion.peer_words`.

        Raises:
            InputError: there is no such folder, and the hub did not give it.
            ModelFormatError: a file is missing, truncated, foreign or inconsistent with the others.
        """
        if words:
            from edge_potion.peer_words import options_at_load, refuse_other_lengths

            ours = {"model": model, "revision": revision}
            opened = cls._open(**options_at_load(ours, dict.fromkeys(ours), words))
            refuse_other_lengths(opened.says, words)
            return opened
        return cls._open(model, revision)

    @classmethod
    def _open(cls, model: Any, revision: str | None) -> StaticModel:
        parts = read_model(find_folder(model, revision), name=str(model or BUILT_IN))
        return cls(parts.table, parts.tokenizer, parts.card, parts.head, parts.phrases)

    @classmethod
    def from_word_vectors(
        cls,
        file: str | Path,
        *,
        words: str | Path | None = None,
        text_column: str = "text",
        tokenizer: str = "words",
        lower_case: bool | None = None,
        limit: int | None = None,
        normalize: bool = True,
        licence: str = "",
        show_progress: bool = False,
    ) -> StaticModel:
        """A model of word vectors: GloVe's, fastText's or word2vec's, or any that lie in an .npy.

        A text is the mean of the vectors of its words. Words that no text can have once it is split, those whose
        vectors are zeros, and all but the first of equal ones, are left out, and told in a warning.

        Args:
            file: text with a word and its numbers a line, with or without a first line that says how many; word2vec's
                .bin; or .npy, of shape (words, D). Text and .bin may be packed (.gz, .bz2, .xz, .zst, or .zip, as
                "glove.6B.zip/glove.6B.300d.txt" where it holds several).
            words: of an .npy, the file that has the word of each row, as `encode` reads texts.
            text_column: of that file, where it has columns.
            tokenizer: "words" splits texts at white space and sets signs of punctuation apart; "whitespace" splits at
                white space alone.
            lower_case: whether texts are lower-cased; None does so where no word of the file has an upper-case letter.
            limit: how many words of the file count, from the first, which is the most frequent; None for all.
            normalize: whether vectors of texts have length 1.
            licence: of the word vectors, for the card.
            show_progress: whether stderr tells how far it is.

        Raises:
            InputError: the file is something else, or wrong in a line, which is named; or an argument is.
        """
        from edge_potion.word_vectors import from_word_vectors

        return from_word_vectors(
            file,
            words=words,
            text_column=text_column,
            tokenizer=tokenizer,
            lower_case=lower_case,
            limit=limit,
            normalize=normalize,
            licence=licence,
            show_progress=show_progress,
        )

    @property
    def dim(self) -> int:
        """D, the width of a vector."""
        return int(self.table.shape[1])

    @property
    def pieces(self) -> int:
        """V, how many token ids there are: the rows of the table that are no phrases'."""
        return len(self.table) - len(self.phrases or ())

    @property
    def says(self) -> Card:
        """What the model says of itself."""
        return self.card

    @property
    def device(self) -> str:
        """Where it runs: "cpu"."""
        return "cpu"

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

    def encode(
        self,
        texts: str | Iterable[str] | Unset = UNSET,
        *misplaced: Never,
        batch_size: int = 1024,
        max_tokens: int | Unset | None = UNSET,
        truncate_dim: int | None = None,
        prompt: str | None = None,
        show_progress: bool = False,
        **words: Any,
    ) -> np.ndarray:
        """Vectors of `texts`, in plain numpy: the reference that every other path is held to.

        Tokenize, cut at `max_tokens`, drop [UNK], take the mean of the rows of tokens and phrases, normalize. The sum
        is in float64. A text without a known token gives zeros. The arguments are those of `EdgeModel.encode`;
        `batch_size` changes nothing, as each text is pooled alone.

        Returns:
            (D,) float32 for a single str, else (B, D) float32.

        Raises:
            InputError: an item is not a str or holds a lone surrogate, or an argument is out of range.
        """
        ours = options(batch_size, max_tokens, truncate_dim, prompt, show_progress)
        if words or misplaced or isinstance(texts, Unset):
            from edge_potion.peer_words import encode_in_other_words

            return encode_in_other_words(self, texts, misplaced, ours, words)
        return self._encode(texts, **ours)

    def _encode(self, texts: str | Iterable[str], **ours: Any) -> np.ndarray:
        return all_vectors(texts, self._stream, self.dim, ours)

    def _stream(self, texts: Iterable[str], **ours: Any) -> Iterator[Batch]:
        return batches(texts, self._embedded, self.card, self.dim, **ours)

    def _embedded(self, texts: Sequence[str], _: int, max_tokens: int | None) -> np.ndarray:
        return self.pool(tokenize_checked(self.tokenizer, texts, max_tokens))

    def pool(self, ids: TokenIds) -> np.ndarray:
        """(B, D) float32: mean of the known rows of each text, of unit length when the card says so.

        `ids` are those of its tokens; the rows of its phrases are found here.
        """
        sums = np.zeros((len(ids.lengths), self.dim), np.float64)  # (B, D)
        bags = self.phrases.joined(ids) if self.phrases else ids
        for place, tokens in enumerate(bags.split()):
            known = tokens[~np.isin(tokens, self.dropped_ids)]
            for begin in range(0, len(known), POOL_CHUNK):
                sums[place] += self.table[known[begin : begin + POOL_CHUNK]].sum(axis=0, dtype=np.float64)
            sums[place] /= max(len(known), 1)
        if self.card.normalize:
            sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), NORM_EPS)
        return sums.astype(np.float32)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write a folder that Model2Vec and sentence-transformers load as it is, replacing a model of that name.

        Of a model with phrases they find no table in it, and say so.

        Raises:
            InputError: the folder cannot be written, or holds something else than a model, or a model that was trained
                without phrases, which would be lost.
        """
        folder = Path(folder).expanduser()
        with written_whole(folder) as beside:  # asked first: no other look at it fails then
            if (alone := folder / WITHOUT_PHRASES).is_dir():
                raise InputError(f"{alone} is a model trained by itself, which would be lost; name another folder")
            write_model_files(beside, self, {"embeddings": self.table})
        return folder


def _checked_table(table: np.ndarray, model: StaticModel) -> np.ndarray:
    name = model.card.name
    if table.ndim != 2 or 0 in table.shape:
        raise ModelFormatError(f"{name}: the table has shape {table.shape}; (tokens, dimensions) was expected")
    ids = model.tokenizer.get_vocab(with_added_tokens=True).values()
    wanted, phrases = max(ids, default=-1) + 1, len(model.phrases or ())
    if len(table) - phrases != wanted:
        some_of_phrases = f", {phrases} of them of phrases," if phrases else ""
        raise ModelFormatError(
            f"{name}: the table has {len(table)} rows{some_of_phrases} and the tokenizer {wanted} tokens; "
            "model.safetensors and tokenizer.json are not of the same model"
        )
    rows = np.array(table, np.float32)  # a copy: two rows are zeroed below
    if not np.isfinite(rows).all() or np.abs(rows).max() > LARGEST_VALUE:
        bad = int(np.argmax(~(np.abs(rows) <= LARGEST_VALUE).all(axis=1)))
        raise ModelFormatError(f"{name}: row {bad} of the table holds NaN, inf or a value beyond {LARGEST_VALUE:g}")
    rows[list(model.dropped_ids)] = 0
    rows.flags.writeable = False
    return rows


def _check_phrases(phrases: Phrases, model: StaticModel) -> None:
    if phrases.pieces != model.pieces:
        raise ModelFormatError(
            f"{model.card.name}: its phrases are of {phrases.pieces} tokens, and there are {model.pieces}; they are of "
            "different models"
        )
    if np.isin(phrases.pairs, model.dropped_ids).any():
        raise ModelFormatError(f"{model.card.name}: a phrase holds [UNK] or [PAD], which count for nothing in a mean")


def _check_head(head: Head, model: StaticModel) -> None:
    tokens, dim = model.pieces, model.dim
    if head.dim != dim or (len(head.grams) and int(head.grams.max()) >= tokens):
        raise ModelFormatError(
            f"{model.card.name}: its head is for vectors of {head.dim} dimensions and tokens up to "
            f"{int(head.grams.max(initial=0))}, and the table has {tokens} rows of {dim}; they are of different models"
        )
