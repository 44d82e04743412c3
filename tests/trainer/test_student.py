"""The student: what it pools, what a step changes, and the losses, all by hand or against torch's own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_potion import InputError, RecipeError
from edge_potion.trainer import contrast as training
from edge_potion.trainer.contrast import CHECKPOINT, Goal, contrast, split_rows
from edge_potion.trainer.losses import LOSSES, own_target_share
from edge_potion.trainer.pairs import Bags, Pairs, moved, open_pairs, unit, write_pairs
from edge_potion.trainer.recipe import BornAgainRecipe, ContrastRecipe
from edge_potion.trainer.shards import Shard, open_features, write_shard
from edge_potion.trainer.student import Student
from edge_potion.trainer.summary import agreement

# Two bags: rows 5, 7, 5 and row 6.
BAGS = Bags(np.array([5, 7, 5, 6]), np.array([0, 3]))
RECIPE = ContrastRecipe(batch_size=8, epochs=3, evaluations=2, validation_rows=20, learning_rate=0.5)


@pytest.fixture
def pairs() -> Pairs:
    """200 sentences of 1 to 6 tokens out of 6..31, each with the target of one hidden table of 8 dimensions."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 7, 200)
    ids = random.integers(6, 32, lengths.sum()).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    hidden = random.normal(size=(32, 8)).astype(np.float32)
    pairs = Pairs(ids, starts, np.zeros((200, 8), np.float16))
    return replace(pairs, targets=pairs.means(hidden, np.arange(200)).astype(np.float16))


def test_pairs_by_hand(hand_model, tmp_path):
    """[UNK] is dropped, texts without a known token and vectors no loss can use are left out; PCA makes 8 of 9."""
    texts = ["the cat ☃", "☃☃", "dog", "sat on mat", "a b", "cat", "the dog ran"]
    vectors = np.random.default_rng(0).normal(size=(7, 9)).astype(np.float16)
    vectors[4], vectors[5, 3] = 0, np.nan
    (tmp_path / "shards").mkdir()
    (tmp_path / "pairs").mkdir()
    write_shard(tmp_path / "shards", 0, Shard(texts[:4], vectors[:4]))
    write_shard(tmp_path / "shards", 1, Shard(texts[4:], vectors[4:]))
    facts = write_pairs(open_features(tmp_path / "shards"), hand_model, tmp_path / "pairs")
    assert facts["skipped"] == {"no known token": 1, "zero vector": 1, "vector with NaN, inf or beyond float16": 1}
    pairs = open_pairs(tmp_path / "pairs")
    assert len(pairs) == facts["rows"] == 4
    assert pairs.ids.tolist() == [5, 6, 10, 7, 8, 9, 5, 10, 11] and pairs.starts.tolist() == [0, 2, 3, 6, 9]
    usable = vectors[[0, 1, 2, 3, 6]].astype(np.float64)  # the second has a vector, and counts in the PCA
    centred = (usable - usable.mean(axis=0))[[0, 2, 3, 4]]
    np.testing.assert_allclose(
        pairs.targets.astype(float) @ pairs.targets.T.astype(float), centred @ centred.T, atol=0.03
    )


def test_targets_are_turned_as_near_to_the_student_as_a_rotation_can(hand_model, sentences, tmp_path):
    """The moment of targets by student vectors is then symmetric, without a negative eigenvalue (Procrustes)."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["the", "cat", "sat", "on", "mat", "dog", "ran", "a", "b"], 4)) for _ in range(50)]
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards", 0, Shard(texts, random.normal(size=(50, 9))))
    facts = write_pairs(open_features(tmp_path / "shards"), hand_model, tmp_path)
    pairs = open_pairs(tmp_path)
    ours, targets = pairs.means(hand_model.table, np.arange(50)), pairs.targets.astype(np.float64)
    ours = ours / np.linalg.norm(ours, axis=1, keepdims=True)
    targets = targets / np.linalg.norm(targets, axis=1, keepdims=True)
    moment = targets.T @ ours
    np.testing.assert_allclose(moment, moment.T, atol=0.02)
    assert np.linalg.eigvalsh(moment).min() > -0.02
    assert facts["first_cosine"] == pytest.approx((ours * targets).sum(axis=1).mean(), abs=1e-3)
    for _ in range(20):
        turn = np.linalg.qr(random.normal(size=(8, 8))).Q
        assert (ours * (targets @ turn)).sum(axis=1).mean() < facts["first_cosine"]


def test_in_the_teachers_space_it_is_the_student_that_is_moved(hand_model, tmp_path):
    """Targets are the vectors themselves; no rotation, scale and shift of the first table is nearer to them."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(["the", "cat", "sat", "on", "mat", "dog", "ran", "a", "b"], 4)) for _ in range(50)]
    vectors = (random.normal(size=(50, 8)) + 1).astype(np.float16)
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards", 0, Shard(texts, vectors))
    facts = write_pairs(open_features(tmp_path / "shards"), hand_model, tmp_path, "teacher")
    pairs, student = open_pairs(tmp_path), moved(hand_model, tmp_path)
    assert np.array_equal(pairs.targets, vectors) and "targets_explained" not in facts
    assert not student.table[list(student.dropped_ids)].any()
    ours, targets = pairs.means(student.table, np.arange(50)).astype(np.float64), unit(vectors)
    assert facts["first_cosine"] == pytest.approx((unit(ours) * targets).sum(axis=1).mean(), abs=1e-3)
    np.testing.assert_allclose(ours.mean(axis=0), targets.mean(axis=0), atol=1e-5)
    nearest = ((ours - targets) ** 2).sum()
    for _ in range(20):
        turn = np.linalg.qr(np.eye(8) + 0.05 * random.normal(size=(8, 8)))
        other = ours @ (turn.Q * np.sign(np.diag(turn.R))) * random.uniform(0.9, 1.1) + 0.05 * random.normal(size=8)
        assert ((other - targets) ** 2).sum() > nearest
    first, second = (pairs.means(each, np.arange(50)) for each in (hand_model.table, student.table))
    distances = [np.linalg.norm(each[:, None] - each[None], axis=2)[np.triu_indices(50, 1)] for each in (first, second)]
    scale = distances[1].sum() / distances[0].sum()
    np.testing.assert_allclose(distances[1], scale * distances[0], atol=1e-4)  # all are turned and scaled alike
    write_shard(tmp_path / "shards", 0, Shard(texts, random.normal(size=(50, 9))))
    with pytest.raises(InputError, match="in a space of 9 dimensions the student has 8"):
        write_pairs(open_features(tmp_path / "shards"), hand_model, tmp_path, "teacher")


def test_features_narrower_than_the_student_or_too_few_are_refused(hand_model, tmp_path):
    write_shard(tmp_path, 0, Shard(["cat", "dog"], np.ones((2, 5))))
    with pytest.raises(InputError, match="the features have 5 dimensions and the student 8"):
        write_pairs(open_features(tmp_path), hand_model, tmp_path)
    write_shard(tmp_path, 0, Shard(["cat", "dog"], np.eye(8)[:2]))
    with pytest.raises(InputError, match="2 sentences are too few"):
        write_pairs(open_features(tmp_path), hand_model, tmp_path)


def test_bags_are_gathered_in_the_order_given(pairs):
    rows = np.array([7, 3, 150])
    bags = pairs.bags(rows)
    wanted = [pairs.ids[pairs.starts[row] : pairs.starts[row + 1]].tolist() for row in rows]
    assert [part.tolist() for part in np.split(bags.ids, bags.starts[1:])] == wanted


def test_a_student_pools_as_the_oracle_does(hand_model, pairs):
    student = Student.of(hand_model.table, False, "cpu")
    rows = np.arange(50)
    wanted = [hand_model.table[pairs.ids[pairs.starts[row] : pairs.starts[row + 1]]].mean(axis=0) for row in rows]
    np.testing.assert_allclose(student.pool(pairs.bags(rows)), wanted, rtol=1e-6)
    np.testing.assert_allclose(pairs.means(hand_model.table, rows), wanted, rtol=1e-6)


def test_token_weights_scale_rows_and_fold_into_the_table(hand_table):
    student = Student.of(hand_table, True, "cpu")
    student.parameters["weights"][5] = 3.0
    pooled = student.pool(BAGS).numpy()
    np.testing.assert_allclose(pooled[0], (2 * 3 * hand_table[5] + hand_table[7]) / 3, rtol=1e-6)
    assert np.array_equal(student.folded()[5], 3 * hand_table[5])
    np.testing.assert_allclose(Student.of(student.folded().numpy(), False, "cpu").pool(BAGS), pooled, rtol=1e-6)


def test_a_step_changes_the_rows_of_its_batch_and_no_other(hand_table):
    """Adam's first step moves every value by the learning rate, against the sign of its gradient."""
    student = Student.of(hand_table, False, "cpu")
    loss = student.update(BAGS, lambda pooled: pooled.sum(), 0.25)
    assert loss == pytest.approx(((2 * hand_table[5] + hand_table[7]) / 3 + hand_table[6]).sum())
    change = student.parameters["table"].numpy() - hand_table
    np.testing.assert_allclose(change[5:8], -0.25, rtol=1e-5)
    change[5:8] = 0
    assert not change.any()


def test_steps_agree_with_torchs_own_sparse_adam(hand_table, pairs):
    bag = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(hand_table), freeze=False, mode="mean", sparse=True)
    peer = torch.optim.SparseAdam(bag.parameters(), lr=0.1)
    student = Student.of(hand_table, False, "cpu")
    for step in range(20):
        rows = np.arange(step * 8, step * 8 + 8)
        bags, target = pairs.bags(rows), torch.from_numpy(pairs.targets[rows]).float()
        peer.zero_grad()
        loss = torch.nn.functional.mse_loss(bag(torch.from_numpy(bags.ids), torch.from_numpy(bags.starts)), target)
        loss.backward()
        peer.step()
        assert student.update(
            bags, lambda pooled, target=target: ((pooled - target) ** 2).mean(), 0.1
        ) == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(student.parameters["table"], bag.weight.detach(), atol=1e-5)


def test_losses_by_hand():
    student = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    target = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    recipe = ContrastRecipe(temperature=0.5)
    cosines = np.array([[1, np.sqrt(0.5)], [0, np.sqrt(0.5)]])
    shares = np.exp(cosines / 0.5) / np.exp(cosines / 0.5).sum(axis=1, keepdims=True)
    assert float(LOSSES["contrastive"](student, target, recipe)) == pytest.approx(-np.log(shares.diagonal()).mean())
    assert float(LOSSES["cosine"](student, target, recipe)) == pytest.approx(1 - (1 + np.sqrt(0.5)) / 2)
    three, aim = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # Cosines to the two others: row 0 has 0 and 1, and its target 1 and 0; row 1 0, 0 and 1, 0; row 2 1, 0 and 0, 0.
    two = np.exp(2) / (np.exp(2) + 1)  # softmax of (1, 0) / 0.5
    rows = [
        two * np.log(two / (1 - two)) + (1 - two) * np.log((1 - two) / two),
        two * np.log(two / 0.5) + (1 - two) * np.log((1 - two) / 0.5),
        0.5 * np.log(0.5 / two) + 0.5 * np.log(0.5 / (1 - two)),
    ]
    assert float(LOSSES["soft"](three, aim, recipe)) == pytest.approx(np.mean(rows), rel=1e-5)
    assert float(LOSSES["soft"](aim, aim, recipe)) == pytest.approx(0, abs=1e-6)
    assert float(LOSSES["mse"](student, target, recipe)) == pytest.approx((1 + 0 + 1 + 4) / 4)
    assert own_target_share(student, target) == 1
    assert own_target_share(student, target.flip(0)) == 0


def test_the_split_holds_out_what_the_seed_says_and_at_most_a_tenth():
    split = split_rows(200, RECIPE)
    assert len(split.held_out) == 20 and len(split.training) == 180
    assert sorted([*split.held_out, *split.training]) == list(range(200))
    assert np.array_equal(split.held_out, split_rows(200, RECIPE).held_out)
    assert not np.array_equal(split.held_out, split_rows(200, replace(RECIPE, seed=1)).held_out)
    assert len(split_rows(1000, RECIPE).held_out) == 20
    assert len(split_rows(50, RECIPE).held_out) == 5


@pytest.mark.parametrize("loss", ["contrastive", "cosine", "mse"])
def test_training_recovers_the_table_behind_the_targets(hand_model, pairs, tmp_path, loss):
    recipe = replace(RECIPE, loss=loss, epochs=30, patience=60, token_weights=False)
    table = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], recipe, tmp_path, title="t").table
    held_out = split_rows(200, recipe).held_out
    found, wanted = pairs.means(table, held_out), pairs.targets[held_out].astype(np.float32)
    cosines = (found * wanted).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert np.median(cosines) > 0.8
    assert not table[list(hand_model.dropped_ids)].any()


def test_the_soft_loss_recovers_how_near_which_sentences_are(hand_model, pairs, tmp_path):
    """It does not see a rotation of the targets, so that similarities are compared, and not vectors."""
    recipe = replace(RECIPE, loss="soft", epochs=30, patience=60, batch_size=32, temperature=0.2, learning_rate=1.0)
    table = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], recipe, tmp_path, title="t").table
    held_out = split_rows(200, recipe).held_out
    before, after = (agreement(replace(hand_model, table=each), pairs, held_out) for each in (hand_model.table, table))
    assert before < 0.3 and after > 0.6


def test_two_goals_are_weighed(hand_model, pairs, tmp_path):
    """With alpha = 1 the second goal changes nothing; with both goals the same, neither does alpha."""
    both = [Goal(pairs.targets, 0.25), Goal(pairs.targets, 0.75)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    mixed = contrast(hand_model, pairs, both, BornAgainRecipe(batch_size=8), tmp_path / "a", title="t")
    single = contrast(
        hand_model, pairs, [Goal(pairs.targets, 1.0)], BornAgainRecipe(batch_size=8), tmp_path / "b", title="t"
    )
    np.testing.assert_allclose(mixed.table, single.table, atol=0.05)
    assert mixed.progress.best_loss == pytest.approx(single.progress.best_loss, rel=1e-3)


def test_the_best_weights_are_kept_and_training_stops_when_nothing_gets_better(hand_model, pairs, tmp_path):
    """A huge rate overshoots: what is returned is the table of the best evaluation, not of the last."""
    recipe = replace(RECIPE, learning_rate=300.0, epochs=50, patience=3)
    result = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], recipe, tmp_path, title="t")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    looks = {line["step"]: line["validation_loss"] for line in lines if "validation_loss" in line}
    assert result.progress.best_loss == min(looks.values()) == looks[result.progress.best_step]
    assert result.progress.stale == 3 and result.progress.step < 50 * 22
    assert result.progress.step == max(looks) > result.progress.best_step


@pytest.mark.parametrize("killed_at", [3, 12, 40])
def test_a_run_that_stopped_goes_on_at_its_checkpoint_and_ends_in_the_same_bits(
    hand_model, pairs, tmp_path, monkeypatch, killed_at
):
    goals, whole, broken = [Goal(pairs.targets, 1.0)], tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    wanted = contrast(hand_model, pairs, goals, RECIPE, whole, title="t")
    with monkeypatch.context() as patch:
        real, steps = Student.update, []

        def stop(self, *rest):
            if len(steps) == killed_at:
                raise KeyboardInterrupt
            steps.append(1)
            return real(self, *rest)

        patch.setattr(Student, "update", stop)
        with pytest.raises(KeyboardInterrupt):
            contrast(hand_model, pairs, goals, RECIPE, broken, title="t")
    assert (broken / CHECKPOINT).exists() == (killed_at >= 11)
    found = contrast(hand_model, pairs, goals, RECIPE, broken, title="t")
    assert np.array_equal(found.table, wanted.table) and found.progress == wanted.progress
    assert (broken / "log.jsonl").read_bytes() == (whole / "log.jsonl").read_bytes()
    assert (broken / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_a_checkpoint_of_a_finished_run_is_its_result(hand_model, pairs, tmp_path, monkeypatch):
    first = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], RECIPE, tmp_path, title="t")
    monkeypatch.setattr(Student, "update", None)
    again = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], RECIPE, tmp_path, title="t")
    assert np.array_equal(first.table, again.table)


def test_a_loss_that_becomes_nan_is_an_error_that_says_what_to_do(hand_model, pairs, tmp_path):
    targets = pairs.targets.copy()
    targets[:] = np.nan
    with pytest.raises(RecipeError, match="the loss is nan at step 1; lower learning_rate"):
        contrast(hand_model, pairs, [Goal(targets, 1.0)], RECIPE, tmp_path, title="t")


def test_without_matplotlib_the_log_is_all_there_is(hand_model, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_potion.trainer.curves.find_spec", lambda name: None)
    contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], RECIPE, tmp_path, title="t")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log.jsonl", "work"]


def test_targets_that_float16_cannot_hold_are_left_out_and_counted(hand_model, tmp_path):
    texts = ["the cat", "dog", "sat on mat", "cat", "the dog ran", "a b c"]
    vectors = np.random.default_rng(0).normal(size=(6, 8))
    vectors[1] = 1e200  # float64, of somebody else's shards
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": texts, "vector": list(vectors)}), tmp_path / "a.parquet")
    facts = write_pairs(open_features(tmp_path), hand_model, tmp_path)
    assert facts["rows"] == 5 and facts["skipped"] == {"vector with NaN, inf or beyond float16": 1}
    assert np.isfinite(open_pairs(tmp_path).targets).all()
    pq.write_table(pa.table({"text": texts, "vector": list(vectors * 1e-30)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"too few to train on; .* left out: .*\(target that is zero or too large"):
        write_pairs(open_features(tmp_path), hand_model, tmp_path)
    pq.write_table(pa.table({"text": texts, "vector": list(vectors * np.nan)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="none of the features' vectors can be used"):
        write_pairs(open_features(tmp_path), hand_model, tmp_path)


def test_arrays_that_are_not_whole_are_an_error(hand_model, tmp_path):
    write_shard(tmp_path, 0, Shard(["cat", "dog", "mat", "sat", "ran"], np.random.default_rng(0).normal(size=(5, 8))))
    write_pairs(open_features(tmp_path), hand_model, tmp_path)
    (tmp_path / "ids.i32").write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        open_pairs(tmp_path)


def test_a_validation_loss_that_is_nan_is_an_error(hand_model, pairs, tmp_path):
    targets = pairs.targets.copy()
    targets[split_rows(200, RECIPE).held_out[0]] = np.nan
    with pytest.raises(RecipeError, match="the validation loss is nan at step 11"):
        contrast(hand_model, pairs, [Goal(targets, 1.0)], RECIPE, tmp_path, title="t")


def test_a_damaged_checkpoint_is_begun_anew(hand_model, pairs, tmp_path, caplog):
    first = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], RECIPE, tmp_path, title="t")
    (tmp_path / CHECKPOINT).write_bytes(b"")
    again = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], RECIPE, tmp_path, title="t")
    assert "training begins anew" in caplog.text and np.array_equal(first.table, again.table)


def test_fewer_sentences_than_a_batch_are_one_batch(hand_model, pairs, tmp_path):
    recipe = ContrastRecipe(batch_size=4096, epochs=3)
    result = contrast(hand_model, pairs, [Goal(pairs.targets, 1.0)], recipe, tmp_path, title="t")
    assert result.progress.step == 3 and training.STEPS_PER_LINE > 3
