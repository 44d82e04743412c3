"""Tables by code point in a graph: pages of 256, and where the page of each 256 code points lies."""

from __future__ import annotations

from .graph_builder import GraphBuilder
from .text_characters import PAGE

__all__ = ["paged"]


def paged(graph: GraphBuilder, prefix: str, pages: str, values: str, points: str) -> str:
    """(n,): what the table `values` holds of code points (n,) int32; both tables are in the graph already."""
    page = graph.take(f"{prefix}{pages}", graph.op("Div", points, graph.int32(PAGE)))
    low = graph.op("BitwiseAnd", points, graph.int32(PAGE - 1))
    return graph.take(f"{prefix}{values}", graph.op("Add", graph.op("Mul", page, graph.int32(PAGE)), low))
