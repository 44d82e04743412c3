"""The stages of a run: one table, in the order in which they run. `steps` has what each does, `pipeline` the story.

The recipe is that of potion-256d-v3's model card, and stages have the card's numbers; what it does not count is the
first half of the stage that it is for. Phrases are ours: where a recipe has none, their stages are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .recipe_values import MOST_OTHERS

__all__ = [
    "BORN_AGAIN",
    "CONTRAST",
    "CORPUS",
    "DISTILL",
    "FEATURIZE",
    "FEATURIZE_OTHERS",
    "LAST_STAGE",
    "MODEL_STAGES",
    "PAIRS",
    "PCA",
    "PCA_ALONE",
    "PHRASES",
    "POWER",
    "POWER_ALONE",
    "STAGES",
    "Stage",
]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: of its folder in a run's, and in summary.json.
        number: what `from_stage` calls it.
        version: of its code: raised when the same inputs give something else, so that nobody goes on with what older
            code made.
        gives: what lies in its folder: "sentences", "features", "pairs" or "model".
        earlier_name: of its folder by earlier versions; what lies there is gone on from no more.
    """

    name: str
    number: int
    version: int
    gives: str
    earlier_name: str = ""


CORPUS = Stage("0-corpus", number=1, version=1, gives="sentences")
DISTILL = Stage("1-distill", number=1, version=1, gives="model", earlier_name="1-distil")
FEATURIZE = Stage("2-featurize", number=2, version=1, gives="features")
# 2-featurize-2, ...: of the second teacher of a recipe, and so on.
FEATURIZE_OTHERS = tuple(replace(FEATURIZE, name=f"{FEATURIZE.name}-{place}") for place in range(2, MOST_OTHERS + 2))
PAIRS = Stage("2-pairs", number=2, version=2, gives="pairs")
CONTRAST = Stage("3-contrast", number=3, version=1, gives="model")
BORN_AGAIN = Stage("4-born-again", number=4, version=1, gives="model")
PHRASES = Stage("4-phrases", number=4, version=1, gives="model")
POWER = Stage("5-power", number=5, version=1, gives="model")
POWER_ALONE = Stage("5-power-without-phrases", number=5, version=1, gives="model")
PCA = Stage("6-pca", number=6, version=1, gives="model")
PCA_ALONE = Stage("6-pca-without-phrases", number=6, version=1, gives="model")

STAGES = (
    *(CORPUS, DISTILL, FEATURIZE, *FEATURIZE_OTHERS, PAIRS, CONTRAST, BORN_AGAIN, PHRASES),
    *(POWER, POWER_ALONE, PCA, PCA_ALONE),
)
MODEL_STAGES = tuple(stage for stage in STAGES if stage.gives == "model")
LAST_STAGE = STAGES[-1].number
