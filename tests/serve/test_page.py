"""The page at /: it asks nobody but its server, and shows what is served."""

from __future__ import annotations

import re
import subprocess

import pytest

from ..js.packed import CHROMIUM
from .test_cli import SECONDS, served


def test_it_asks_nobody_else(client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"https?://|@import|\burl\(", answer.text) and "innerHTML" not in answer.text


@pytest.mark.browser
def test_it_compares_texts_and_names_what_is_served(classifier_folder, index_folder):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: `make browser`")
    words = ("--model", "potion-256d-minilm", "--model", str(classifier_folder), "--index", str(index_folder))
    with served(*words, "--access-log", "none") as (_, url):
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=2 * SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    page = done.stdout
    assert "potion-256d-minilm: 256 dimensions, int8, native engine" in page
    assert "<option>lines</option>" in page and "<option>router</option>" in page
    cosines = re.findall(r'<li style="--share: [\d.]+%;"><b>([\d.-]+)</b>([^<]+)</li>', page)
    assert len(cosines) == 3 and cosines[0][1] == "The dough stays flat when the yeast is old."
    assert f"curl {url}/search" in page and 'id="error" role="alert" hidden=""' in page
