# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "model2vec[distill]==0.10.0",
#   "torch==2.13.0",
#   "transformers==5.3.0",
#   "skeletoken==0.6.1",
#   "scikit-learn",
# ]
# ///
"""model2vec's own distillation, which wants an older transformers than ours: `model2vec_distill.py TEACHER OUT`."""

from __future__ import annotations

import sys

DIMS = 256


def main() -> None:
    """Distill to a float32 table, with no words beside the teacher's."""
    from model2vec.distill import distill

    teacher, out = sys.argv[1:]
    distill(teacher, pca_dims=DIMS, quantize_to="float32", device="cpu").save_pretrained(out)


if __name__ == "__main__":
    main()
