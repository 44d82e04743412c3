# /// script
# requires-python = ">=3.11"
# dependencies = ["schemathesis==4.32.5"]
# ///
"""schemathesis's own command line, in the environment of the clients: `by_schemathesis.py run URL/openapi.json`."""

from schemathesis.cli import schemathesis

if __name__ == "__main__":
    schemathesis()
