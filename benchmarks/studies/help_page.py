"""docs/help.md: what `--help` says of every command, at a fixed width."""

from __future__ import annotations

from edge_potion.cli import app, help_pages

__all__ = ["help_page"]

COLUMNS = 80


def help_page() -> dict[str, str]:
    """The page, by its path in docs/."""
    parts = ["# Every command", "What `--help` says of each. This page is generated."]
    for command, page in help_pages(app, COLUMNS).items():
        parts += [f"## {command}", f"```text\n{page.strip()}\n```"]
    return {"help.md": "\n\n".join(parts) + "\n"}
