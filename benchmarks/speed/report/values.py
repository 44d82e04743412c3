"""The kinds of values that a report holds: their types and ranges, as pydantic checks them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, Field, PlainValidator, Strict, WrapValidator

__all__ = [
    "METRIC",
    "Amount",
    "Count",
    "Direction",
    "Engine",
    "Flag",
    "Number",
    "Positive",
    "Rates",
    "Share",
    "Status",
    "Text",
]


def _text(value: object) -> str:
    """Any string: pydantic's own takes no half characters, which names of files may hold."""
    if isinstance(value, str):
        return value
    raise ValueError("a string was expected")


def _as_written(value: Any, check: Any) -> float:
    """A whole number stays one, so that a report that is read and written again is the same."""
    number = check(value)
    return value if type(value) is int else number


Text = Annotated[str, PlainValidator(_text, json_schema_input_type=str)]
Number = Annotated[float, Strict(), AllowInfNan(False), WrapValidator(_as_written)]
Amount = Annotated[float, Strict(), AllowInfNan(False), Field(ge=0), WrapValidator(_as_written)]
Share = Annotated[float, Strict(), AllowInfNan(False), Field(ge=0, le=1), WrapValidator(_as_written)]
Direction = Annotated[
    float, Strict(), AllowInfNan(False), Field(ge=-1.001, le=1.001), WrapValidator(_as_written)
]  # a cosine, and what float32 sums add to it
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Positive = Annotated[int, Strict(), Field(ge=1, lt=2**63)]
Flag = Annotated[bool, Strict()]
Rates = dict[Annotated[str, Field(pattern="^[1-9][0-9]*$")], Amount | None]
METRIC = "^(load_s|first_vector_s|p(50|95|99)_ms|rss_(first|peak)_bytes|(texts|from_ids|labels)_per_s_[1-9][0-9]*)$"
Engine = Literal["native", "onnxruntime"]
Status = Literal["measured", "absent", "fell back", "failed", "not run"]
