"""Texts of files that are read more than once."""

import pytest

from edge_potion import InputError
from edge_potion.search.documents import Readable


@pytest.mark.parametrize(
    ("then", "is_told"),
    [("a\nb\nc\nd\n", False), ("x\nb\n", False), ("a\nx\nc\n", True), ("a\n", True), ("b\na\nc\n", True)],
)
def test_texts_that_were_changed_since_they_were_read_are_told(tmp_path, then, is_told):
    file = tmp_path / "a.txt"
    file.write_text("a\nb\nc\n")
    texts = Readable(str(file), "text")
    assert list(texts) == ["a", "b", "c"]
    file.write_text(then)
    if is_told:
        with pytest.raises(InputError, match="was changed while it was read"):
            texts.some({2})
    else:
        assert texts.some({2}) == {2: "b"}
