"""Interleaved rounds of the training study, and their ratios."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Ratio", "print_rates", "rates_and_ratios", "timed"]


@dataclass(frozen=True)
class Ratio:
    """Rate of one contestant over that of another: the median over rounds, the lowest and the highest."""

    of: str
    to: str
    median: float
    lowest: float
    highest: float


def timed(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The rows/s that each run returns, round by round: all run once a round, so that whatever the machine does hits
    all of them."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(rounds):
        print(f"\rround {round_number + 1}/{rounds}", end="", file=sys.stderr, flush=True)
        for name, run in runs.items():
            rates[name].append(run())
    print(file=sys.stderr)
    return rates


def rates_and_ratios(rates: Mapping[str, list[float]], pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The part of a report that tells who was how fast."""
    ratios = []
    for of, to in pairs:
        by_round = np.array(rates[of]) / np.array(rates[to])
        ratios.append(Ratio(of, to, float(np.median(by_round)), float(by_round.min()), float(by_round.max())))
    return {"rows_per_s": dict(rates), "ratios": [asdict(ratio) for ratio in ratios]}


def print_rates(title: str, report: dict[str, Any]) -> None:
    print(f"\n{title:36} {'rows/s':>10}")
    for name, rates in report["rows_per_s"].items():
        print(f"{name:36} {np.median(rates):10,.0f}   {min(rates):,.0f} - {max(rates):,.0f}")
    for ratio in report["ratios"]:
        spread = f"{ratio['lowest']:.2f} - {ratio['highest']:.2f}"
        print(f"{ratio['median']:.2f} times ({spread})  {ratio['of']} / {ratio['to']}")
