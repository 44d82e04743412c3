"""report.json: read and refused, written, and described by a JSON Schema, all as the type in model.py says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edge_potion.errors import InputError, ModelFormatError
from edge_potion.escaping import terminal
from edge_potion.find import read_json

from .model import FORMAT, Report

__all__ = ["as_json", "json_schema", "read_report", "read_small_json", "report_of"]

LARGEST_BYTES = 2**25  # of a report: a thousand configurations have a sixth of it
LONGEST_FAULT = 200  # letters: some are of a file that may hold anything
LONGEST_FOUND = 80  # letters of what was found there


def read_report(path: Path) -> Report:
    """The report in a file.

    Raises:
        InputError: it is not there, or no report of this format.
    """
    content = read_small_json(path, "benchmark")
    if "format" not in content:
        raise InputError(f"{path} is no report of `edge-potion benchmark`: it has no format")
    if content["format"] != FORMAT:
        found = terminal(repr(content["format"])[:LONGEST_FOUND])
        raise InputError(f"{path} has format {found}, and this edge-potion reads format {FORMAT}")
    try:
        return report_of(content)
    except ValueError as fault:
        raise InputError(f"{path} is not a whole report: {terminal(str(fault)[:LONGEST_FAULT])}") from fault


def read_small_json(path: Path, command: str) -> dict[str, Any]:
    """The object in a file that is to be a report of `edge-potion COMMAND`.

    Raises:
        InputError: it cannot be read, is larger than any report, or holds something else.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ModelFormatError(f"{path} is larger than {LARGEST_BYTES:,} bytes")
        return read_json(path)
    except FileNotFoundError as failure:
        raise InputError(f"no report of `edge-potion {command}`: {path} is missing") from failure
    except (ModelFormatError, OSError, ValueError) as failure:  # ValueError: a name that no file system takes
        raise InputError(f"no report of `edge-potion {command}`: {failure}") from failure


def report_of(content: dict[str, Any]) -> Report:
    """The report that parsed JSON holds.

    Raises:
        ValueError: it is none; the message names the first place, and what stands there.
    """
    try:
        return _adapter().validate_python(content)
    except ValidationError as failure:
        fault = failure.errors(include_url=False)[0]
    where = _place(fault["loc"])
    if fault["type"] == "missing":
        raise ValueError(f"{where} is missing")
    if fault["type"] == "unexpected_keyword_argument":
        raise ValueError(f"{where} is no field of a report")
    words = fault["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    found = "" if isinstance(fault["input"], dict | list) else f" is {repr(fault['input'])[:LONGEST_FOUND]}"
    raise ValueError(f"{where or 'it'}{found}: {words}")


def as_json(report: Report) -> str:
    """report.json.

    Raises:
        ValueError: a number is none.
    """
    content = asdict(report)
    for configuration in content["configurations"]:  # as in reports of before, which are to stay as they are
        if configuration["engine"] is None:
            del configuration["engine"]
        for one in configuration["rounds"]:
            if not one["labels"]:
                del one["labels"]
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def json_schema() -> dict[str, Any]:
    """What report.json holds, as JSON Schema describes it: report.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_adapter().json_schema()}


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def _place(where: Sequence[int | str]) -> str:
    """configurations[3].summary.p50_ms"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in where if part != "[key]"]
    return "".join(parts).removeprefix(".")
