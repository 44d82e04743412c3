"""docs/help.md: every `edge-potion COMMAND --help`, as a terminal of a fixed width shows it."""

from __future__ import annotations

import os
import subprocess
import sys

__all__ = ["help_page"]

COLUMNS = 100
# One process asks for all: each would import the same again. A form feed ends a command's.
ASK = """
import sys
from edge_potion.cli import app
from typer.main import get_command
for name in ["", *get_command(app).commands]:
    app([*name.split(), "--help"], prog_name="edge-potion", standalone_mode=False)
    print(name, end="\\f")
"""


def help_page() -> dict[str, str]:
    """The page, by its path in docs/."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("_TYPER", "TYPER", "FORCE_", "PY"))}
    plain |= {"COLUMNS": f"{COLUMNS}", "TERMINAL_WIDTH": f"{COLUMNS}", "NO_COLOR": "1", "TERM": "dumb"}
    plain |= {"PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    asked = subprocess.run([sys.executable, "-c", ASK], env=plain, capture_output=True, encoding="utf-8", check=True)
    parts = ["# Every command", "What `--help` says of each. This page is generated."]
    for printed in asked.stdout.split("\f")[:-1]:
        shown, _, name = printed.rpartition("\n")
        lines = "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")
        parts += [f"## edge-potion {name}".rstrip(), f"```text\n{lines}\n```"]
    return {"help.md": "\n\n".join(parts) + "\n"}
