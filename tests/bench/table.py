"""A figure beside its limit, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, the figure, the goal, and what helps to read it."""

    what: str
    value: str
    goal: str
    note: str = ""


def table(rows: list[Figure]) -> str:
    """Markdown, as docs/bench.md holds it."""
    lines = ["| what | figure | goal | |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| {row.what} | {row.value} | {row.goal} | {row.note} |" for row in rows])
