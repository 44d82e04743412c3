"""docs/results/codes.md: how much of a search each dtype of codes keeps."""

from __future__ import annotations

from edge_potion.escaping import markdown

from .page_parts import Report, source, table

__all__ = ["codes_page", "codes_tables"]

COMMAND = "python -m edge_potion.benchmarks.studies.codes"


def codes_page(report: Report, name: str) -> dict[str, str]:
    """The page, by its path in docs/."""
    page = ["# Codes of vectors", *codes_tables(report), source(name, COMMAND)]
    return {"results/codes.md": "\n\n".join(page) + "\n"}


def codes_tables(report: Report) -> list[str]:
    """All of a report in Markdown, paragraph by paragraph."""
    dim, neighbours = report["dim"], report["neighbours"]
    plain, fitted = report["filters"]
    return [
        f"How many of the {neighbours} nearest neighbours by the float32 vectors ({dim} dimensions, cosine) are found "
        f"when base and queries are both coded: {report['base']:,} sentences, {report['queries']:,} other ones as "
        f"queries, the model {markdown(report['model'])}, brute force. [What the dtypes are](../use.md#fewer-bytes), "
        "and [how stores take them](../stores.md).",
        "## By themselves",
        table(
            ["", "dimensions", "bytes", f"recall@{neighbours}"],
            [
                [_called(one["name"]), str(one["dim"]), f"{one['bytes']:,}", f"{one['recall']:.3f}"]
                for one in report["codes"]
            ],
        ),
        "int8 values without their scales keep each vector's direction: their cosine is right, their dot product is "
        "not. sentence-transformers' `quantize_embeddings` cuts the range of each dimension in 255 steps: a code "
        "counts from the middle of a range, so that what is compared is another vector. Its ranges are those of the "
        f"base, or of a sample of {report['sample']:,} other sentences. Rows of fewer dimensions are held to the "
        "neighbours by all of them.",
        "## Bits as a filter",
        f"The nearest by Hamming distance, in {dim // 8} bytes a vector, are ranked again with the query's float32 "
        "vector, by their float32 or int8 vectors. The rotation was fitted to the same sample.",
        _filters(report),
        f"Alone, without ranking again, bits have a recall@{neighbours} of {plain['alone']:.3f}, and of "
        f"{fitted['alone']:.3f} with the rotation.",
    ]


def _filters(report: Report) -> str:
    counts = list(report["filters"][0]["within"]["float32"])
    rows = [
        [f"{'with' if one['rotation'] == 'fitted' else 'without'} rotation, ranked by {dtype}"]
        + [f"{within[count]:.3f}" for count in counts]
        for one in report["filters"]
        for dtype, within in one["within"].items()
    ]
    return table(["", *(f"of {int(count):,}" for count in counts)], rows)


def _called(name: str) -> str:
    """Ours stand out."""
    return f"**{markdown(name)}**" if "," not in name else markdown(name)
