"""The table of figures beside their bars."""

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["within", "over", "not measured", "holds", "FAILS", "not built"]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What is measured or checked.
        bar: What it should be.
        seen: What was seen.
        verdict: "within" and "over" are of times on an idle machine, "not measured" on a busy one; "holds" and "FAILS"
            are of what must be right on any machine.
    """

    what: str
    bar: str
    seen: str
    verdict: Verdict


@dataclass
class Table:
    """Rows, printed as they come.

    Attributes:
        busy: Share of the processor that others use; above `IDLE`, times say "not measured".
        rows: All rows so far.
    """

    busy: float
    rows: list[Row] = field(default_factory=list)

    IDLE = 0.2

    def timed(self, what: str, bar: float, seconds: float, unit: str = "s", least: bool = False) -> None:
        """Add a figure with a bar.

        Args:
            what: What was measured.
            bar: The most that it should be.
            seconds: The figure.
            unit: Its unit.
            least: Whether the bar is the least that it should be instead.
        """
        within = seconds >= bar if least else seconds <= bar
        seen = f"{seconds:.3g} {unit}"
        if self.busy > self.IDLE:
            self._add(Row(what, f"{'≥' if least else '≤'} {bar:g} {unit}", f"({seen}, busy machine)", "not measured"))
        else:
            self._add(Row(what, f"{'≥' if least else '≤'} {bar:g} {unit}", seen, "within" if within else "over"))

    def correct(self, what: str, bar: str, faults: list[str], seen: str = "") -> None:
        """Add a check.

        Args:
            what: What was checked.
            bar: What has to hold.
            faults: What does not hold; none where all is right.
            seen: What was seen.
        """
        said = "; ".join(dict.fromkeys(faults))
        self._add(Row(what, bar, said[:600] or seen, "FAILS" if faults else "holds"))

    def not_built(self, what: str, bar: str, why: str) -> None:
        """Add a row about something that is not there."""
        self._add(Row(what, bar, why, "not built"))

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(row.verdict == "FAILS" for row in self.rows)

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        print(line(row), flush=True)


HEAD = "| what | bar | seen | |\n|---|---|---|---|"


def line(row: Row) -> str:
    """Return a row as Markdown."""
    cells = (row.what, row.bar, row.seen, row.verdict)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
