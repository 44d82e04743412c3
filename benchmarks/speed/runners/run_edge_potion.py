"""Runs EdgeModel, strings to vectors: in our own environment, or in one that has another ONNX Runtime."""

import os
import sys
from functools import cache

sys.path.append(os.path.dirname(__file__))  # after the environment's own packages
from measure import Library, Unable, answer, timed


def load(job):
    """The library, its model loaded."""
    sys.path.append(job["package"])  # after the environment's own packages
    if job["engine"] == "onnxruntime":
        import onnxruntime  # noqa: F401 - its import is no part of the load

    from edge_potion import EdgeModel
    from edge_potion.errors import FallBackError, ProviderError

    def open_model():
        wanted = {key: job[key] for key in ("provider", "precision", "graph", "threads", "engine")}
        try:
            return EdgeModel.from_pretrained(job["folder"], **wanted)
        except FallBackError as reason:
            raise Unable("fell_back", str(reason), nodes={name: list(n) for name, n in reason.ran_on.items()}) from None
        except ProviderError as reason:
            raise Unable("absent", str(reason)) from None

    model, load_s = timed(open_model)

    packages = ["onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "tokenizers", "numpy"]
    kernels = None
    if model.engine == "native":
        from edge_potion.engine import kernels as kernels_here

        packages, kernels = ["edge-potion", "numpy"], kernels_here()

    def form(rows):
        from edge_potion import TokenIds

        return TokenIds.of(rows)

    @cache
    def classifier():
        from edge_potion import TextClassifier

        wanted = {key: job[key] for key in ("precision", "threads", "engine")}
        return TextClassifier.from_pretrained(job["folder"], **wanted)

    decides = job["classifier"] and (job["graph"], job["provider"]) == ("text", "cpu")
    return Library(
        encode=model.encode,
        one=model.encode,
        from_ids=None if job["graph"] == "text" else lambda ids: model.encode_ids(ids, batch_size=len(ids.lengths)),
        form=form,
        labels=(lambda texts: classifier().predict(texts)) if decides else None,
        nodes={name: list(nodes) for name, nodes in model.ran_on.items()} or None,
        load_s=load_s,
        packages=packages,
        kernels=kernels,
    )


if __name__ == "__main__":
    answer(load)
