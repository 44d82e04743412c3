"""First vector, download and lines/s of examples/web in Chromium, by both of its engines.

    python -m edge_potion.benchmarks.studies.web_page ../shared/data/sentences.txt.xz

prints the table of examples/web/README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from edge_potion.benchmarks.speed.environments import javascript_folder
from edge_potion.texts import read_texts

from .page_parts import table

HERE = Path(__file__).parent
SERVE = HERE.parents[1] / "examples" / "web" / "serve.py"
LINES, ROUNDS = 100_000, 7
ENGINES = ("edge-potion", "onnxruntime-web")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="a text a line, packed or not")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lines.txt"
        file.write_text("".join(f"{line}\n" for line in islice(read_texts(asked.texts), LINES)), encoding="utf-8")
        visits = measure(file)
    print(shown(visits))


def measure(file: Path) -> list[dict[str, Any]]:
    """A dict a visit, as web_page.mjs prints them; the engines take turns."""
    packages = javascript_folder()
    script = shutil.copy(HERE / "web_page.mjs", packages)  # beside what it imports
    ort = packages / "node_modules" / "onnxruntime-web" / "dist"
    command = [sys.executable, "-u", str(SERVE), "--port", "0", "--ort", str(ort)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().split()[0]
            words = [url, str(file), str(ROUNDS), *ENGINES]
            done = subprocess.run(["node", script, *words], stdout=subprocess.PIPE, text=True, check=True)
        finally:
            server.terminate()
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(visits: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: medians, with the lowest and the highest."""
    rows = []
    for engine in ENGINES:
        own = [visit for visit in visits if visit["engine"] == engine]
        page, model = own[0]["page_bytes"], own[0]["model_bytes"]
        rows.append(
            [
                engine,
                f"{page / 1e6:.2f} MB and the model's {model / 1e6:.1f} MB",
                _spread([visit["first_vector_ms"] for visit in own], "ms"),
                _spread([visit["lines_per_s"] for visit in own], ""),
            ]
        )
    return table(["", "download", "first vector", "lines a second"], rows)


def _spread(values: Sequence[float], unit: str) -> str:
    return f"{statistics.median(values):,.0f} {unit}".strip() + f" ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main()
