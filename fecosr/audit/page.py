"""The report as one HTML page: no network, no scripts, light and dark, readable on paper."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fecosr.audit.findings import Status
from fecosr.audit.privacy_report import privacy_report
from fecosr.audit.questions import answers
from fecosr.audit.report import AuditReport

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_ROUNDS: Final = 200
"""Rounds in the table; the rest stands in privacy_report.json."""
WIDTH: Final = 720
HEIGHT: Final = 260
LEFT: Final = 56
BOTTOM: Final = 36
RIGHT: Final = 16
TOP: Final = 16

_VERDICTS: Final = {
    Status.VERIFIED: ("Verified", "good"),
    Status.NOT_VERIFIED: ("Not verified", "bad"),
    Status.UNUSABLE: ("Cannot be verified", "warn"),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """Hold the curve of what was spent, in the units of the drawing.

    Attributes:
        path: of the steps, as SVG draws it.
        budget: height of the line at the budget.
        across: places and labels along the sums.
        up: places and labels along epsilon.
    """

    path: str
    budget: float
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]


def page(report: AuditReport) -> str:
    """Return the whole report as a page that stands alone."""
    said: dict[str, Any] = privacy_report(report)
    verdict, tone = _VERDICTS[report.status]
    facts = report.facts
    worst = max((each for each in said["spending"] if each["points"]), key=_spent, default=None)
    budget = facts.opened.privacy.epsilon if facts else None
    return (
        _environment()
        .get_template("page.html")
        .render(
            said=said,
            verdict=verdict,
            tone=tone,
            facts=facts,
            answers=list(answers(facts)) if facts and report.verified else [],
            plot=plot(worst["points"], budget) if worst and budget else None,
            worst=worst,
            shown=said["releases"][-MOST_ROUNDS:],
            size=(WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP),
        )
    )


def plot(points: list[dict[str, Any]], budget: float) -> Plot:
    """Return the steps of what was spent, from nothing to the last sum, below the budget or beyond it."""
    most = max(budget, float(points[-1]["epsilon"])) * 1.08
    sums = int(points[-1]["sums"])

    def x(count: float) -> float:
        return _tenths(LEFT + (WIDTH - LEFT - RIGHT) * count / sums)

    def y(epsilon: float) -> float:
        return _tenths(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * epsilon / most)

    path = f"M{x(0)} {y(0)}" + "".join(f"L{x(point['sums'])} {y(point['epsilon'])}" for point in points)
    across = tuple((x(count), f"{count:,}") for count in sorted({0, round(sums / 2), sums}))
    up = tuple((y(budget * part), f"{budget * part:.3g}") for part in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Plot(path, y(budget), across, up)


def _tenths(length: float) -> float:
    return round(length, 1)


def _spent(each: dict[str, Any]) -> float:
    return float(each["points"][-1]["epsilon"])


def _environment() -> "Environment":
    # Imported here: only whoever wants a page needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("fecosr.audit", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
