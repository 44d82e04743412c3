"""Several seeds of one training are one row; differences within their spread are none."""

from __future__ import annotations

import pytest

from edge_potion.benchmarks.studies.seeds import as_rows, difference, tasks_of

TASK = {"kind": "STS", "half": "report", "rows": 3, "note": "", "sha256": "", "reason": None}


def model(points: float, found: float = 0.5) -> dict:
    """What `evaluate` tells of a model, shortened to a task and a retrieval set."""
    searched = {**TASK, "task": "MED", "kind": "Retrieval", "half": "retrieval"}
    return {
        "name": f"model of {points}",
        "what": "numpy",
        "digest": f"{points}",
        "dims": 256,
        "size_mb": 7.5,
        "averages": {"report": {"STS": points, "CatAVG": points}, "retrieval": {"Retrieval": 100 * found}},
        "tasks": [
            {**TASK, "task": "STS16", "scores": {"main": points / 100}},
            {**searched, "scores": {"main": found, "hybrid": {"main": found + 0.1}}},
        ],
    }


def report(*models: dict) -> dict:
    words = [{**TASK, "task": "MED", "scores": {"main": 0.25}}]
    return {"models": list(models), "words": words}


def test_seeds_are_a_row_with_means_and_deviations_in_the_order_of_the_names():
    one, three = as_rows(report(model(50), model(60), model(62), model(64, 0.8)), ["b", "a", "a", "a"])
    assert (one["name"], one["seeds"], one["deviations"]["report"]["CatAVG"]) == ("b", 1, None)
    assert (three["name"], three["seeds"], three["digests"]) == ("a", 3, ["60", "62", "64"])
    assert three["averages"]["report"]["CatAVG"] == 62 and three["deviations"]["report"]["CatAVG"] == 2
    assert three["tasks"]["STS16"] == {"points": pytest.approx(62), "deviation": pytest.approx(2)}
    assert three["tasks"]["MED"]["points"] == pytest.approx(60)
    assert three["tasks"]["MED"]["hybrid"] == pytest.approx(70)


def test_tasks_tell_what_words_alone_find():
    plain, searched = tasks_of(report(model(50)))
    assert "words" not in plain and searched["words"] == 25
    assert (plain["task"], plain["half"], plain["rows"]) == ("STS16", "report", 3)


@pytest.mark.parametrize(("others", "level"), [((60, 62, 64), False), ((64, 67, 70), True)])
def test_a_difference_below_two_deviations_is_level(others, level):
    ours, theirs = as_rows(report(model(70), model(71), *map(model, others)), ["a", "a", "b", "b", "b"])
    points, same = difference(ours, theirs, "report")
    assert points == pytest.approx(70.5 - others[1]) and same is level
