"""What a text graph says of its texts is read, or refused by name."""

from __future__ import annotations

import pytest

from edge_potion.errors import ModelFormatError
from edge_potion.text_facts import TextFacts


def told(**facts: str) -> TextFacts:
    return TextFacts.of({"tokens_a_character": "18", "sure_words": "true", **facts}, "text.onnx")


def test_a_graph_that_says_nothing_leaves_nul_out_and_has_three_tokens_a_character():
    assert TextFacts.of({"max_tokens": "512"}, "text.onnx") == TextFacts("", 3, True)


def test_nul_is_dropped_or_a_character_stands_for_it_or_nothing_does():
    assert [told(nul=nul).nul for nul in ("drop", "1", "128", "")] == ["", "\x01", "\x80", None]
    assert told(nul="drop", sure_words="false") == TextFacts("", 18, False)


@pytest.mark.parametrize(
    "facts",
    [
        *({"nul": nul} for nul in ("0", "-1", "x", "1.5", "55296", "1114112", "9" * 5000, "\u0661")),
        *({"nul": "1", "tokens_a_character": most} for most in ("", "0", "-3", "x", "\u0663")),
    ],
)
def test_what_no_graph_of_ours_says_is_refused(facts):
    with pytest.raises(ModelFormatError, match=r"text\.onnx says nul=.*which no graph of ours does"):
        told(**facts)
