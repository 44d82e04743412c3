"""Row weights of several digits, in what the text graph does not do itself: its second half, from ids."""

from __future__ import annotations

import numpy as np
import pytest

from edge_potion import EdgeModel, StaticModel, export
from edge_potion.from_ids import MOST_ROWS
from edge_potion.static_model import Card


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("factor", [1e-2, 1e-4])
def test_other_limits_and_long_texts_hold_small_rows_too(hand_table, hand_tokenizer, tmp_path, factor, normalize):
    table = hand_table.copy()
    small = [hand_tokenizer.token_to_id(piece) for piece in ("dog", "ran", "##s")]
    table[small] *= factor
    model = StaticModel(table, hand_tokenizer, Card("hand", normalize, max_tokens=16))
    bundle = export(model, tmp_path / "b", quantize="int8", graphs="text")
    edge = EdgeModel.from_pretrained(bundle.folder)
    texts = ["dog", "dogs ran", "the cat", "dog cat", "dogs " * 40, "ran " * 50_000, "dog " * (MOST_ROWS + 5)]
    for limit in (16, 3, 64, None):
        wanted, found = (each.encode(texts, max_tokens=limit).astype(np.float64) for each in (model, edge))
        cosines = (wanted * found).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(found, axis=1)
        assert cosines.min() > 0.999
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(wanted, axis=1), rtol=0.02)
