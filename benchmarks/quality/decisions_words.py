"""What a classifier's report says in words, in Markdown and on its page alike."""

from __future__ import annotations

from collections.abc import Sequence

from .decisions import Report

__all__ = ["NO_MATRIX", "facts_of", "listed", "notes_of", "percent", "sentence_of"]

FEW_ANSWERS = 30  # fewer say little of a precision: one more fault moves it by three points
FEW_ROWS = 10  # of a label, likewise
NO_MATRIX = "Rows have several labels each, so that none is taken for another: there is no confusion matrix."
TUNED = {
    "head": "the head alone, on the model's vectors as they are",
    "table": "the model's table and the head together",
}


def sentence_of(report: Report) -> str:
    """What a reader in a hurry is to know."""
    rows = f"{report.rows:,} {report.rows_of}"
    chosen = report.chosen
    if report.multi_label:
        opening = f"Micro F1 {percent(report.micro_f1)} and macro F1 {percent(report.macro_f1)} on {rows}"
        if chosen is None or not chosen.coverage:
            return opening
        at = f"from a probability of {chosen.threshold:.2f} on, {percent(chosen.precision)} of the given labels"
        return f"{opening}; {at} are right, and {percent(chosen.coverage)} of the rows have one"
    parts = [f"Accuracy {percent(report.accuracy)} on {rows}"]
    if chosen is not None and chosen.coverage:
        parts.append(f"at {percent(chosen.precision)} precision it answers {percent(chosen.coverage)} of them")
    elif chosen is not None:
        parts.append("its threshold leaves none of them an answer")
    if report.confused:
        parts.append(f"most confused: {report.confused[0].first} and {report.confused[0].second}")
    return "; ".join(parts)


def percent(share: float | None) -> str:
    """Of a share of something, with one digit after the point: never 100 % of what is not all, nor 0 % of some."""
    if share is None:
        return "–"
    shown = round(100 * share, 1)
    if share < 1 and shown == 100:
        shown = 99.9
    if share > 0 and shown == 0:
        return "< 0.1 %"
    return f"{shown:.1f} %"


def notes_of(report: Report) -> list[str]:
    """What must be known to read the figures."""
    notes = [f"{remark}." for remark in report.remarks]
    if report.is_chosen_by:
        notes.append(
            "Head, temperature and threshold were chosen by these rows, which flatters all figures a little; "
            "a file of its own, --test FILE, does not."
        )
    if report.unknown_rows:
        refused = (
            "" if report.unknown_refused is None else f"; {report.unknown_refused:,} are answered with none of these"
        )
        notes.append(
            f"{report.unknown_rows:,} rows have a label that was not learnt, and count as wrong where they are answered"
            f"{refused}."
        )
    if report.chosen is not None and 0 < (answers := round(report.chosen.coverage * report.rows)) < FEW_ANSWERS:
        notes.append(f"The precision at the threshold is of {answers} rows: too few to count on.")
    if report.chosen is not None and report.precision_asked and report.training.threshold == 0:
        notes.append("The precision asked for is reached without a threshold: none of these is never answered.")
    if few := [score.label for score in report.by_label if score.support < FEW_ROWS]:
        notes.append(f"{listed(few)}: fewer than {FEW_ROWS} rows here, whose figures say little.")
    return notes


def facts_of(report: Report) -> dict[str, str]:
    """How the classifier was trained, and what it was found to be worth."""
    training = report.training
    facts = {
        "trained": TUNED.get(training.tune, training.tune),
        "head": f"{training.head}, with weights of {training.grams:,} grams (pieces of words, and pairs of them)"
        if training.grams
        else f"{training.head}: the text's vector alone",
        "why": training.why,
        "rows": f"{training.rows:,} to learn from; {training.held_out:,} of them were held out once, to choose by",
        "temperature": f"{training.temperature:.3g}: on {report.rows:,} {report.rows_of}, the calibration error was "
        f"{percent(report.calibration_error_before)} before and is {percent(report.calibration_error)} after",
    }
    asked = f", chosen for a precision of {percent(report.precision_asked)}" if report.precision_asked else ""
    if training.threshold is not None:
        facts["threshold"] = f"{training.threshold:.3f}{asked}"
    facts["took"] = f"{training.seconds:,.1f} s"
    return {name: words for name, words in facts.items() if words}


def listed(labels: Sequence[str], most: int = 8) -> str:
    """Some labels, and how many there are beside them."""
    more = f" and {len(labels) - most} more labels" if len(labels) > most else ""
    return f"{', '.join(labels[:most])}{more}"
