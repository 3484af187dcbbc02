"""A bench's result: rows of figures, each beside what it is measured against, and the table that shows them."""

import dataclasses
import statistics


class Figure:
    """One quantity, measured several times: the median, and the lowest and highest."""

    def __init__(self, values):
        self.values = [values] if isinstance(values, (int, float)) else list(values)

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        text = number(self.median)
        if len(self.values) > 1:
            text += f" [{number(min(self.values))}-{number(max(self.values))}]"
        return text

    def ratio_to(self, other):
        """Round by round if both have the same rounds, so that what disturbed a round disturbs both its parts."""
        if len(self.values) == len(other.values):
            return Figure([a / b for a, b in zip(self.values, other.values) if b])
        return Figure(self.median / other.median)


def number(value):
    if abs(value) >= 1_000_000:
        return f"{value / 1_000_000:.2f} M"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


@dataclasses.dataclass
class Row:
    """`limit`: the most that `judged` ("ratio" or "meterd") may be; with `at_least` the least; None: not judged."""

    name: str
    unit: str
    meterd: Figure | None = None
    beside: Figure | None = None
    beside_name: str = ""
    judged: str = "ratio"
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def ratio(self):
        return self.meterd.ratio_to(self.beside) if self.meterd and self.beside else None

    @property
    def within(self):
        """True, False, or None where there is nothing to judge."""
        figure = self.ratio if self.judged == "ratio" else self.meterd
        if self.limit is None or figure is None or not figure.values:
            return None
        return figure.median >= self.limit if self.at_least else figure.median <= self.limit

    def bound_text(self):
        if self.limit is None:
            return ""
        text = f"{'>=' if self.at_least else '<='} {number(self.limit)}" + ("x" if self.judged == "ratio" else "")
        verdict = {True: "ok", False: "OVER" if not self.at_least else "UNDER", None: "-"}[self.within]
        return f"{text} {verdict}"

    def cells(self):
        beside = f"{self.beside_name} {self.beside}" if self.beside else self.beside_name
        meterd = str(self.meterd) if self.meterd else "not available"
        return [self.name, self.unit, meterd, beside, f"{self.ratio}" if self.ratio else "", self.bound_text()]

    def as_json(self):
        return {
            "name": self.name,
            "unit": self.unit,
            "meterd": self.meterd.values if self.meterd else None,
            "beside": self.beside.values if self.beside else None,
            "beside_name": self.beside_name,
            "ratio": self.ratio.median if self.ratio and self.ratio.values else None,
            "limit": self.limit,
            "within": self.within,
            "note": self.note,
        }


HEADER = ["figure", "unit", "meterd", "beside it", "ratio", "bound"]


def markdown(rows):
    """The table, aligned for a terminal and valid in a document; notes follow it."""
    lines = [HEADER] + [row.cells() for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"{row.name}: {row.note}" for row in rows if row.note]
    return "\n".join(text + ([""] + notes if notes else []))
