# /// script
# requires-python = ">=3.11"
# dependencies = ["infinity-emb[all]==0.0.78"]
# ///
"""infinity's server, in an environment of its own: `serve_infinity.py MODEL PORT`, MODEL the folder of a transformer.

A static model it does not open: its `torch` engine asks the first module for a transformer ('StaticEmbedding' object
has no attribute 'auto_model'), and its other engines know no such architecture.
"""

from __future__ import annotations

import sys

from infinity_emb.cli import cli  # type: ignore[import-not-found]

HOST = "127.0.0.1"
OPTIONS = "--engine torch --device cpu --dtype float32 --no-bettertransformer --no-model-warmup --url-prefix /v1"


def main() -> None:
    """Its own command line."""
    model, port = sys.argv[1:]
    sys.argv[1:] = ["v2", "--host", HOST, "--port", port, "--model-id", model, *OPTIONS.split()]
    cli()


if __name__ == "__main__":
    main()
