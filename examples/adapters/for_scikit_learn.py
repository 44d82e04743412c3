# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "scikit-learn==1.9.1",
#   "onnxruntime==1.32.0",
#   "tokenizers==0.23.3",
#   "safetensors==0.8.0",
#   "numpy==2.4.6",
# ]
# ///
"""edge-potion in scikit-learn: a FunctionTransformer makes of `encode` a step of a pipeline; it clones and pickles.

pip install 'edge-potion[cpu]' scikit-learn
"""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from edge_potion import EdgeModel


def classifier(model: EdgeModel) -> Pipeline:
    """Texts -> labels, by a straight line between vectors."""
    return make_pipeline(FunctionTransformer(model.encode), LogisticRegression())


if __name__ == "__main__":
    from sklearn.model_selection import cross_val_score

    animals = [f"the {animal} {verb} in the field" for animal in ("cat", "dog", "horse") for verb in ("ran", "slept")]
    money = [f"the {thing} {verb} on the market" for thing in ("bond", "stock", "price") for verb in ("fell", "rose")]
    labels = ["animals"] * len(animals) + ["money"] * len(money)
    pipeline = classifier(EdgeModel.from_pretrained())
    print("accuracy:", cross_val_score(pipeline, animals + money, labels, cv=3).mean())
    print(pipeline.fit(animals + money, labels).predict(["my puppy", "a share of a company"]))
