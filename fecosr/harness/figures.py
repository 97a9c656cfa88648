"""One measured figure beside the floor or the peer it was measured against, in the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """Hold one comparison.

    Attributes:
        name: what was measured.
        ours: our figure, smaller is better.
        reference: the other figure.
        reference_name: whose it is.
        unit: of both.
    """

    name: str
    ours: float
    reference: float
    reference_name: str
    unit: str

    @property
    def ratio(self) -> float:
        """Return ours / reference."""
        return self.ours / self.reference

    def as_json(self) -> dict[str, object]:
        """Return the figure as `fecosr bench NAME --json` prints it."""
        return {
            "name": self.name,
            "ours": self.ours,
            "reference": self.reference,
            "reference_name": self.reference_name,
            "unit": self.unit,
            "ratio": self.ratio,
        }
