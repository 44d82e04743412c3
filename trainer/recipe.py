"""Recipes: one frozen dataclass a stage, whose defaults are the published recipe; `recipe_values` says what may be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edge_potion.phrases_told import MOST_PHRASES

from .recipe_values import (
    LARGEST_SEED,
    MOST_CHARACTERS,
    MOST_DIMS,
    MOST_EPOCHS,
    MOST_LOOKS,
    MOST_PIECES,
    MOST_SENTENCES,
    MOST_TOKENS,
    check_between,
    check_count,
    check_flag,
    check_languages,
    check_one_of,
    check_plain_words,
    check_prompt,
    check_share,
    check_together,
)

__all__ = [
    "BornAgainRecipe",
    "ContrastRecipe",
    "CorpusRecipe",
    "DistillRecipe",
    "FeaturizeRecipe",
    "OtherRecipe",
    "PcaRecipe",
    "PhrasesRecipe",
    "PowerRecipe",
    "Recipe",
    "TargetsRecipe",
]

LATER = {"later": True}  # of a key, or a section, that the first recipes did not have: runs made before do not tell it


@dataclass(frozen=True)
class CorpusRecipe:
    """Which sentences the teacher reads.

    Attributes:
        source: hub id of a data set with a `text` column; `--corpus` gives local files in its place.
        subset: its configuration on the hub, "" for none.
        sentences: N, how many are sampled; fewer when there are not so many.
        min_characters, max_characters: shorter and longer ones are left out.
        seed: of the sample.
        languages: whose sentences are sampled together, such as ["de", "fr", "sw"]; each takes the place of
            "{language}" in the subset or source, or in the names given to `--corpus`.
        alpha: of local files, a language of n sentences is drawn in proportion to n^alpha (XLM-R: Conneau et al. 2020);
            of a hub set, whose size is not known, each gives the same number.
    """

    source: str = "allenai/c4"
    subset: str = "en"
    sentences: int = 500_000
    min_characters: int = 20
    max_characters: int = 320
    seed: int = 0
    languages: tuple[str, ...] = field(default=(), metadata=LATER)
    alpha: float = field(default=0.3, metadata=LATER)

    def __post_init__(self) -> None:
        check_plain_words("source", self.source)
        check_plain_words("subset", self.subset, may_be_empty=True)
        check_count("sentences", self.sentences, 1, MOST_SENTENCES)
        check_count("min_characters", self.min_characters, 1, MOST_CHARACTERS)
        check_count("max_characters", self.max_characters, self.min_characters, MOST_CHARACTERS)
        check_count("seed", self.seed, 0, LARGEST_SEED)
        check_languages(self.languages, self.sentences)
        check_between("alpha", self.alpha, 0, 1)


@dataclass(frozen=True)
class DistillRecipe:
    """How a teacher becomes a table of token vectors (Model2Vec's method).

    Attributes:
        dims: D, width of the table after PCA; the teacher's width when that is smaller. 512 in the recipe, whose
            last stage halves it; `edge-potion distill`, which ends here, asks for 256.
        vocabulary_size: V, how many tokens: the teacher's own and, up to this number, the most frequent words of the
            corpus that are not among them; of a WordPiece or Unigram teacher with more tokens, those that the corpus
            takes most. None takes every token, and every word that is given or, but for a Unigram teacher, of the
            corpus.
        sif_coefficient: a in the SIF weight a / (a + p(rank)) of a row, with Zipf's p; None leaves rows as they are.
    """

    dims: int = 512
    vocabulary_size: int | None = 63_000
    sif_coefficient: float | None = 1e-4

    def __post_init__(self) -> None:
        check_count("dims", self.dims, 1, MOST_DIMS)
        if self.vocabulary_size is not None:
            check_count("vocabulary_size", self.vocabulary_size, 1, MOST_PIECES)
        if self.sif_coefficient is not None:
            check_share("sif_coefficient", self.sif_coefficient)


@dataclass(frozen=True)
class FeaturizeRecipe:
    """How the teacher encodes the corpus.

    Attributes:
        pooling: "tokens", the mean of the token vectors without [CLS] and [SEP] (Tokenlearn's target), or "model", the
            teacher's own pooling.
        precision: the teacher's arithmetic: "float32", "bfloat16" or "float16".
        max_tokens: where a sentence is cut, special tokens included.
        shard_rows: sentences in one file of vectors; what a killed run has to do again at most.
        prompt: stands before each sentence, as "query: " for multilingual-e5; with pooling = "model" alone. "" for the
            default prompt of the teacher, where it has one.
    """

    pooling: str = "tokens"
    precision: str = "float32"
    max_tokens: int = 128
    shard_rows: int = 8192
    prompt: str = field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        check_one_of("pooling", self.pooling, ("tokens", "model"))
        check_one_of("precision", self.precision, ("float32", "bfloat16", "float16"))
        check_count("max_tokens", self.max_tokens, 3, MOST_TOKENS)
        check_count("shard_rows", self.shard_rows, 1, MOST_SENTENCES)
        check_prompt(self.prompt, self.pooling)


@dataclass(frozen=True)
class OtherRecipe:
    """One more teacher, whose vectors of the corpus are joined to those of the first.

    Attributes:
        teacher: hub id or folder of a sentence-transformer.
        weight: how much its cosines count beside those of the first teacher, whose weight is 1.
        pooling: "model", the teacher's own pooling, or "tokens", as of [featurize].
        precision, max_tokens, prompt: as of [featurize].
    """

    teacher: str = ""
    weight: float = 1.0
    pooling: str = "model"
    precision: str = "float32"
    max_tokens: int = 128
    prompt: str = field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        check_plain_words("teacher", self.teacher)
        check_between("weight", self.weight, 1e-3, 1e3)
        self.featurize(1)

    def featurize(self, shard_rows: int) -> FeaturizeRecipe:
        """How this teacher encodes the corpus."""
        return FeaturizeRecipe(self.pooling, self.precision, self.max_tokens, shard_rows, self.prompt)


@dataclass(frozen=True)
class TargetsRecipe:
    """What targets are made of, where it is not one teacher's vectors in the student's own space.

    No section of a file: what `others` and `space` come to, kept with the pairs.

    Attributes:
        space: of the recipe.
        weights: of each teacher, the first of them 1.
    """

    space: str
    weights: list[float]


@dataclass(frozen=True)
class ContrastRecipe:
    """How the table is trained on (sentence, target vector) pairs.

    Attributes:
        loss: "contrastive" (cross-entropy of the in-batch similarities), "soft" (divergence of the in-batch
            similarities from the target's own), "cosine" (1 - cosine) or "mse" (mean squared error, of vectors as they
            are).
        temperature: what similarities are divided by, for "contrastive" and "soft".
        learning_rate: of the first step; it falls linearly to 0. The card does not tell it; of 0.003, 0.01, 0.03
            and 0.06, 0.01 gave the lowest validation loss on all-MiniLM-L6-v2 (Adam, on touched rows alone).
        batch_size: B, sentences a step.
        epochs: how many times the sentences are gone through, but for the last few that do not fill a batch.
        token_weights: whether each token also learns a weight, folded into the table at the end.
        validation_rows: sentences held out to choose the best weights; at most a tenth of all.
        evaluations: how many times an epoch they are looked at, and a checkpoint is written.
        patience: evaluations without a better loss after which training stops.
        seed: of the split and of the order of the sentences.
    """

    loss: str = "contrastive"
    temperature: float = 0.07
    learning_rate: float = 0.01
    batch_size: int = 512
    epochs: int = 2
    token_weights: bool = True
    validation_rows: int = 5_000
    evaluations: int = 4
    patience: int = 4
    seed: int = 0

    fewest_epochs: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_one_of("loss", self.loss, ("contrastive", "soft", "cosine", "mse"))
        check_between("temperature", self.temperature, 1e-3, 1e3)
        check_between("learning_rate", self.learning_rate, 1e-9, 1e3)
        check_count("epochs", self.epochs, self.fewest_epochs, MOST_EPOCHS)
        check_count("batch_size", self.batch_size, 2, MOST_SENTENCES)
        check_count("evaluations", self.evaluations, 1, MOST_LOOKS)
        check_count("patience", self.patience, 1, MOST_EPOCHS * MOST_LOOKS)
        check_count("validation_rows", self.validation_rows, 2, MOST_SENTENCES)
        check_count("seed", self.seed, 0, LARGEST_SEED)
        check_flag("token_weights", self.token_weights)


@dataclass(frozen=True)
class BornAgainRecipe(ContrastRecipe):
    """How a fresh student is trained on the vectors of the one before it (Born-Again Networks: Furlanello et al. 2018).

    Attributes:
        alpha: weight of the loss against those vectors; 1 - alpha is the weight of the loss against the teacher's.
        epochs: 0 leaves the stage out: the model before it goes on as it is.
    """

    alpha: float = 1.0

    fewest_epochs: ClassVar[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_between("alpha", self.alpha, 0, 1)


@dataclass(frozen=True)
class PhrasesRecipe(ContrastRecipe):
    """How pairs of tokens that stand side by side get rows of their own, trained with those of the tokens.

    Attributes:
        count: P, how many pairs; fewer when not so many stand often enough; 0 leaves the stage out.
        choice: those with the highest "pmi" (normalized pointwise mutual information times the logarithm of the count:
            two tokens that seldom stand apart, and stand together often) or "count".
        least_count: a pair that stands in the sentences less often is not taken.
        most_share: nor one that stands there more often than this many times a sentence; 1 leaves none out. The
            commonest cost time in many texts and bring little: of 33,000 by "pmi" on 300,000 sentences, without those
            above 1/300, a text holds 5.7 phrases and not 8.7, and the tuning half stays where it was (69.84, 69.85).
        begin: of their rows: "zeros", or "teacher", a share of what turns the rows of the two tokens to the teacher's
            own vector of the pair.
        start: of the tokens' rows: "distilled", as stage 1 made them, or "trained", as the stage before left them.
    """

    count: int = 0
    choice: str = "pmi"
    least_count: int = 5
    most_share: float = 1.0
    begin: str = "zeros"
    start: str = "distilled"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("count", self.count, 0, MOST_PHRASES)
        check_one_of("choice", self.choice, ("pmi", "count"))
        check_count("least_count", self.least_count, 1, MOST_SENTENCES)
        check_between("most_share", self.most_share, 1e-9, 1)
        check_one_of("begin", self.begin, ("zeros", "teacher"))
        check_one_of("start", self.start, ("distilled", "trained"))


@dataclass(frozen=True)
class PowerRecipe:
    """Power normalization of the table: sign(E) * |E|^exponent.

    Attributes:
        exponent: above 0, up to 1, which leaves the table as it is.
    """

    exponent: float = 0.7

    def __post_init__(self) -> None:
        check_share("exponent", self.exponent, with_whole=True)


@dataclass(frozen=True)
class PcaRecipe:
    """PCA of the table to the width that ships.

    Attributes:
        dims: that width, at most the one of the distilled table.
        fitted_to: whose rows the components are of where there are phrases: "all", or "tokens" alone.
    """

    dims: int = 256
    fitted_to: str = field(default="all", metadata=LATER)

    def __post_init__(self) -> None:
        check_count("dims", self.dims, 1, MOST_DIMS)
        check_one_of("fitted_to", self.fitted_to, ("all", "tokens"))


@dataclass(frozen=True)
class Recipe:
    """All stages, in the order they run, and what they begin with.

    Attributes:
        teacher: hub id or folder of a sentence-transformer; `--teacher` gives another.
        space: where vectors lie: "own", a space of the student, turned and cut as scores best; or "teacher", that of
            the teacher's vectors, so that texts of the student are compared with texts of the teacher.
        others: further teachers.

    Raises:
        RecipeError: a stage asks for what one before it does not give.
    """

    teacher: str = "mixedbread-ai/mxbai-embed-large-v1"
    space: str = "own"
    others: tuple[OtherRecipe, ...] = ()
    corpus: CorpusRecipe = field(default_factory=CorpusRecipe)
    distill: DistillRecipe = field(default_factory=DistillRecipe)
    featurize: FeaturizeRecipe = field(default_factory=FeaturizeRecipe)
    contrast: ContrastRecipe = field(default_factory=ContrastRecipe)
    born_again: BornAgainRecipe = field(default_factory=BornAgainRecipe)
    phrases: PhrasesRecipe = field(default_factory=PhrasesRecipe, metadata=LATER)
    power: PowerRecipe = field(default_factory=PowerRecipe)
    pca: PcaRecipe = field(default_factory=PcaRecipe)

    def __post_init__(self) -> None:
        check_plain_words("teacher", self.teacher)
        check_one_of("space", self.space, ("own", "teacher"))
        check_together(self)

    @property
    def featurized_by(self) -> list[FeaturizeRecipe]:
        """How each teacher encodes the corpus, in their order."""
        return [self.featurize, *(other.featurize(self.featurize.shard_rows) for other in self.others)]

    @property
    def targets(self) -> TargetsRecipe | None:
        """What targets are made of; None for one teacher's vectors in the student's own space."""
        if self.space == "own" and not self.others:
            return None
        return TargetsRecipe(self.space, [1.0, *(other.weight for other in self.others)])
