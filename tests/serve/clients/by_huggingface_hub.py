# /// script
# requires-python = ">=3.11"
# dependencies = ["huggingface_hub==2.4.0", "numpy==2.4.6"]
# ///
"""TEI's client, InferenceClient: {url, key, texts} as JSON on stdin -> vectors and an error, as JSON."""

import json
import sys
from typing import Any

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError


def main() -> None:
    """By the address in the call, as TEI's documentation has it, and by that of the client."""
    asked = json.load(sys.stdin)
    address, texts = f"{asked['url']}/embed", asked["texts"]
    client = InferenceClient(token=asked["key"])
    answer: dict[str, Any] = {
        "texts": client.feature_extraction(texts, model=address).tolist(),
        "one": client.feature_extraction(texts[0], model=address).tolist(),
        "options": client.feature_extraction(texts, model=address, normalize=True, truncate=True).tolist(),
        "of the client": InferenceClient(address, token=asked["key"]).feature_extraction(texts).tolist(),
        "of base_url": InferenceClient(base_url=address, api_key=asked["key"]).feature_extraction(texts).tolist(),
        "of the server": InferenceClient(base_url=asked["url"], api_key=asked["key"])
        .feature_extraction(texts)
        .tolist(),
        "dimensions": client.feature_extraction(texts, model=address, dimensions=asked["dimensions"]).tolist(),
    }
    try:
        InferenceClient(address, token="wrong").feature_extraction("a")
    except HfHubHTTPError as error:
        answer["wrong key"] = error.response.status_code
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
