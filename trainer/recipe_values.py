"""What values of a recipe may be, each by itself and beside the others; RecipeError says which is wrong, and why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge_potion.errors import RecipeError

if TYPE_CHECKING:
    from .recipe import Recipe

__all__ = [
    "LARGEST_SEED",
    "MOST_CHARACTERS",
    "MOST_DIMS",
    "MOST_EPOCHS",
    "MOST_LOOKS",
    "MOST_OTHERS",
    "MOST_PIECES",
    "MOST_SENTENCES",
    "MOST_TOKENS",
    "WORDS_OF_TYPES",
    "check_between",
    "check_count",
    "check_flag",
    "check_languages",
    "check_one_of",
    "check_plain_words",
    "check_prompt",
    "check_share",
    "check_together",
    "shown",
]

LONGEST_NAME = 1024  # characters of a teacher's or data set's, and of a prompt
LONGEST_SHOWN, LONGEST_NUMBER = 60, 40  # characters of a wrong value in an error, digits of a number
# Beyond these nobody asks by intent, and some could not be counted to.
MOST_SENTENCES = 10**10
MOST_CHARACTERS = 10**6
MOST_DIMS = 2**16
MOST_PIECES = 10**8
MOST_TOKENS = 2**20
MOST_EPOCHS = 10_000
MOST_LOOKS = 10_000
MOST_OTHERS = 8
LARGEST_SEED = 2**63 - 1
LANGUAGE = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")  # it takes a place in the names of files
WORDS_OF_TYPES = {int: "a whole number", float: "a number", str: "words in quotes", bool: "true or false"}


def check_together(recipe: Recipe) -> None:
    """Refuse a recipe that asks one section for what another does not give."""
    if len(recipe.others) > MOST_OTHERS:
        raise RecipeError(f"there are {len(recipe.others)} others beside the teacher; at most {MOST_OTHERS} are taken")
    if recipe.space == "teacher":
        _stay_in_its_space(recipe)
    if recipe.pca.dims > recipe.distill.dims:
        raise RecipeError(
            f"[pca] dims is {recipe.pca.dims}, and its table has [distill] dims = {recipe.distill.dims}; "
            "ask for fewer in [pca], or more in [distill]"
        )
    tokens = recipe.distill.vocabulary_size
    if tokens is not None and recipe.pca.dims > tokens - 2:  # [PAD] and [UNK] have no direction
        raise RecipeError(
            f"[pca] dims is {recipe.pca.dims}, and the tokens of [distill] vocabulary_size = {tokens} span at most "
            f"{max(tokens - 2, 0)} dimensions; ask for fewer dimensions, or more tokens"
        )
    phrases = recipe.phrases if recipe.phrases.count else None
    for name, section in (("contrast", recipe.contrast), ("born_again", recipe.born_again), ("phrases", phrases)):
        if section and section.epochs and recipe.corpus.sentences < section.batch_size:
            raise RecipeError(
                f"[corpus] sentences is {recipe.corpus.sentences}, which fills no batch of [{name}] batch_size = "
                f"{section.batch_size}; ask for more sentences, or a smaller batch"
            )


def _stay_in_its_space(recipe: Recipe) -> None:
    """Refuse what would take vectors out of the teacher's space."""
    if recipe.others:
        raise RecipeError('space = "teacher" is that of one teacher; leave out [[others]], or ask for space = "own"')
    if recipe.power.exponent != 1:
        raise RecipeError(
            f'[power] exponent is {recipe.power.exponent}, which bends the space; with space = "teacher" ask for 1'
        )
    if recipe.phrases.count and recipe.phrases.begin == "teacher":
        raise RecipeError(
            '[phrases] begin = "teacher" is for rows that have not been moved; with space = "teacher" ask for zeros'
        )
    if recipe.pca.dims != recipe.distill.dims:
        raise RecipeError(
            f'[pca] dims is {recipe.pca.dims} and [distill] dims {recipe.distill.dims}; with space = "teacher" both '
            "are the width of the teacher's vectors"
        )


def check_between(name: str, value: float, least: float, most: float) -> None:
    """Refuse what is no number from `least` to `most`."""
    if not _is_number(value) or not least <= value <= most:  # NaN is not either
        raise RecipeError(f"{name} is {shown(value)}; a number from {least:g} to {most:g} was expected")


def check_share(name: str, value: float, with_whole: bool = False) -> None:
    """Refuse what is no number above 0 and below 1, or `with_whole` up to 1."""
    if not _is_number(value) or not 0 < value <= 1 or (value == 1 and not with_whole):
        wanted = "a number above 0, up to 1," if with_whole else "a number between 0 and 1"
        raise RecipeError(f"{name} is {shown(value)}; {wanted} was expected")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_languages(languages: tuple[str, ...], sentences: int) -> None:
    """Refuse languages of which one has a name that is none, is there twice, or can give no sentence of so many."""
    if isinstance(languages, str):
        raise RecipeError(f"languages is {shown(languages)}; a list of names was expected")
    for place, language in enumerate(languages):
        if not isinstance(language, str) or not LANGUAGE.fullmatch(language):
            raise RecipeError(f'languages has {shown(language)}; a name such as "de" or "zh-Hant" was expected')
        if language in languages[:place]:
            raise RecipeError(f"languages has {language} twice; leave one out")
    if sentences < len(languages):
        raise RecipeError(f"sentences is {sentences}, and there are {len(languages)} languages; ask for as many")


def check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse what is none of `known`."""
    if value not in known:
        raise RecipeError(f"{name} is {value!r}; one of {', '.join(known)} was expected")


def check_count(name: str, value: int, least: int, most: int) -> None:
    """Refuse what is no whole number from `least` to `most`."""
    if type(value) is not int:  # of a recipe that was made in Python; a TOML value was looked at before
        raise RecipeError(f"{name} is {shown(value)}; {WORDS_OF_TYPES[int]} was expected")
    if not least <= value <= most:
        wanted = f"at least {least}" if value < least else f"at most {most:,}"
        raise RecipeError(f"{name} is {shown(value)}; {wanted} was expected")


def check_flag(name: str, value: bool) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise RecipeError(f"{name} is {shown(value)}; {WORDS_OF_TYPES[bool]} was expected")


def check_plain_words(name: str, value: str, may_be_empty: bool = False) -> None:
    """Refuse what is no name on one line."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_NAME:
        raise RecipeError(f"{name} is {shown(value)}; a name without control characters was expected")
    if not value.strip() and not may_be_empty:
        raise RecipeError(f"{name} is {value!r}; a name was expected")


def check_prompt(prompt: str, pooling: str) -> None:
    """Refuse what no text can begin with, and a prompt whose own tokens the mean would hold."""
    check_plain_words("prompt", prompt.replace("\n", " ") if isinstance(prompt, str) else prompt, may_be_empty=True)
    if prompt and pooling != "model":
        raise RecipeError(
            f'prompt is {shown(prompt)}, and pooling = "{pooling}" would count its tokens as the text\'s; ask for '
            'pooling = "model", or leave it out'
        )


def shown(value: object) -> str:
    """A wrong value in an error of one line."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:  # Python does not write numbers of any length
        return f"a number of more than {LONGEST_NUMBER} digits"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
