"""Features of several teachers: rows that agree, rows that one of them skipped, and what joins them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_potion import InputError
from edge_potion.trainer.join import join
from edge_potion.trainer.pairs import open_pairs, write_pairs
from edge_potion.trainer.shards import Features, Shard, open_features, write_counts, write_shard

WORDS = ("the", "cat", "sat", "on", "mat", "dog", "ran", "a", "b")


def features_in(folder: Path, texts: Sequence[str], vectors: np.ndarray, rows: int, skipped: int = 0) -> Features:
    """Shards of so many rows; with counts beside them, as `featurize` writes them, where some were skipped."""
    folder.mkdir()
    parts = [slice(begin, begin + rows) for begin in range(0, len(texts), rows)]
    for number, part in enumerate(parts):
        file = write_shard(folder, number, Shard(list(texts[part]), vectors[part]))
        if skipped:
            write_counts(folder, number, len(texts[part]), {"no token": skipped} if number == 0 else {}, file)
    if skipped:
        manifest = {"sentences": len(parts) * rows, "shard_rows": rows}
        (folder / "features.json").write_text(json.dumps(manifest))
    return open_features(folder)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def texts() -> list[str]:
    random = np.random.default_rng(0)
    return [f"{' '.join(random.choice(WORDS, 3))} {number}" for number in range(60)]


@pytest.fixture
def vectors() -> list[np.ndarray]:
    """Of two teachers: 5 and 7 dimensions, neither centred."""
    random = np.random.default_rng(1)
    return [(random.normal(size=(60, dims)) * 3 + 2).astype(np.float16) for dims in (5, 7)]


def test_targets_of_two_teachers_are_as_the_formula_says(tmp_path, texts, vectors):
    """sqrt(weight) times the vectors at length 1, centred, at length 1 again, side by side; shards of any size."""
    features = [
        features_in(tmp_path / name, texts, each, rows) for name, each, rows in zip("ab", vectors, (60, 7), strict=True)
    ]
    joined = join(features, [1.0, 0.25])
    shards = list(joined.shards())
    assert [text for shard in shards for text in shard.texts] == texts
    given = [unit_rows(each.astype(np.float64)) for each in vectors]
    wanted = [unit_rows(each - each.mean(axis=0)) for each in given]
    got = np.concatenate([shard.vectors for shard in shards])
    np.testing.assert_allclose(got, np.concatenate([wanted[0], 0.5 * wanted[1]], axis=1), atol=1e-6)
    cosines = [each @ each.T for each in (*wanted, unit_rows(got.astype(np.float64)))]
    np.testing.assert_allclose(cosines[2], (cosines[0] + 0.25 * cosines[1]) / 1.25, atol=1e-5)


def test_a_vector_that_cannot_be_used_leaves_its_row_out_of_means_and_pairs(tmp_path, texts, vectors, hand_model):
    vectors[0][3], vectors[1][5], vectors[1][8, 2] = 0, np.nan, np.inf
    used = np.setdiff1d(np.arange(60), [3, 5, 8])
    features = [features_in(tmp_path / name, texts, each, 16) for name, each in zip("ab", vectors, strict=True)]
    joined = join(features, [1.0, 1.0])
    for mean, each in zip(joined.means, vectors, strict=True):
        np.testing.assert_allclose(mean, unit_rows(each[used].astype(np.float64)).mean(axis=0))
    (tmp_path / "pairs").mkdir()
    facts = write_pairs(joined, hand_model, tmp_path / "pairs")
    assert facts["rows"] == 57
    assert facts["skipped"] == {"zero vector": 1, "vector with NaN, inf or beyond float16": 2}
    assert len(open_pairs(tmp_path / "pairs")) == 57
    assert joined.unusable == [1, 2]


def test_texts_that_one_teacher_skipped_are_left_out_of_all(tmp_path, texts, vectors):
    """Also one that stands twice: it is skipped for what it is, each time; what stays is matched, not counted off."""
    texts[40] = texts[20]
    first, second = ([row for row in range(60) if row not in gone] for gone in ({0, 33}, {20, 40}))
    features = [
        features_in(tmp_path / "a", [texts[row] for row in first], vectors[0][first], 16, skipped=2),
        features_in(tmp_path / "b", [texts[row] for row in second], vectors[1][second], 9, skipped=2),
    ]
    joined = join(features, [1.0, 1.0])
    both = [row for row in range(60) if row not in {0, 33, 20, 40}]
    assert [text for shard in joined.shards() for text in shard.texts] == [texts[row] for row in both]
    assert len(joined.left_out) == 3
    for mean, each in zip(joined.means, vectors, strict=True):
        np.testing.assert_allclose(mean, unit_rows(each[both].astype(np.float64)).mean(axis=0))


def test_the_first_row_that_differs_is_named(tmp_path, texts, vectors):
    other = [*texts[:9], "another\x1b text", *texts[10:]]
    features = [features_in(tmp_path / "a", texts, vectors[0], 16), features_in(tmp_path / "b", other, vectors[1], 9)]
    with pytest.raises(InputError, match=r"row 10 of .*a is '.* 9', and of .*b 'another.x1b text'; features of the"):
        join(features, [1.0, 1.0])
    other = [texts[1], texts[0], *texts[2:]]
    swapped = features_in(tmp_path / "c", other, vectors[1], 9)
    with pytest.raises(InputError, match="row 1 of"):
        join([features[0], swapped], [1.0, 1.0])


def test_vectors_of_two_widths_in_one_folder_are_refused(tmp_path, texts, vectors):
    features = [features_in(tmp_path / name, texts, each, 30) for name, each in zip("ab", vectors, strict=True)]
    write_shard(tmp_path / "b", 1, Shard(texts[30:], vectors[0][30:]))
    with pytest.raises(InputError, match="b has vectors of 7 dimensions, and then of 5"):
        join([features[0], open_features(tmp_path / "b")], [1.0, 1.0])


def test_features_that_end_early_are_refused(tmp_path, texts, vectors):
    whole = features_in(tmp_path / "a", texts, vectors[0], 16)
    short = features_in(tmp_path / "b", texts[:50], vectors[1][:50], 9)
    for given in ([whole, short], [short, whole]):
        with pytest.raises(InputError, match=r"b ends after 50 rows, and .*a goes on with '.* 50'"):
            join(given, [1.0, 1.0])


def test_more_texts_may_not_be_missing_than_were_skipped(tmp_path, texts, vectors):
    """Or features of half the corpus would pass for those of all, as the other half is skipped somewhere."""
    whole = features_in(tmp_path / "a", texts, vectors[0], 16)
    part = features_in(tmp_path / "b", texts[:50], vectors[1][:50], 9, skipped=3)
    with pytest.raises(InputError, match=r"b lacks 10 texts .* and 3 were skipped .* row 51 of .*a, '.* 50': make"):
        join([whole, part], [1.0, 1.0])


def test_no_row_that_all_teachers_have_is_an_error(tmp_path, texts, vectors):
    features = [
        features_in(tmp_path / name, texts, each * np.nan, 16) for name, each in zip("ab", vectors, strict=True)
    ]
    with pytest.raises(InputError, match=r"of each of 2 teachers; zeros, or not finite, are 60 of .*a, 60 of .*b"):
        join(features, [1.0, 1.0])
