"""What a market accepts from a federation; its own operator writes it and nobody else can change it."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from fecosr.errors import ConfigError, ProtocolViolation
from fecosr.federation.messages import RoundManifest
from fecosr.federation.sketch import SKETCH_ROUND
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.secagg.packing import RING_BITS


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """Bound the manifests a node takes part in.

    Attributes:
        n_min: fewest survivors this market insists on.
        max_colluding: how many colluding nodes the federation must at least withstand.
        max_rounds: rounds this market will ever train.
        max_clip_norm: largest clip norm it accepts; a huge one is no bound at all.
        min_ring_bits: narrowest ring it accepts, 16, 24 or 32: in a narrow one updates are rounded coarsely.
        release_validation: whether its validation metric may be part of a released mean.
        release_sketch: whether a sketch of what its users have in common may be part of a sum that is opened
            to all parties. Without it the market takes part from round 1 on, with the sum of the others.
        share_validation: whether the coordinator may see this market's own validation metric, and show it; it
            is measured only where the plan releases the mean.
        max_epsilon: the most a run may cost any of its users; None accepts runs that promise nothing.
        max_delta: at a delta of at most this; None leaves it to the plan.
        privacy_mode: the only mode in which this market takes part; None leaves it to the plan.
        parameters: names of the parameters whose updates may leave, `*` standing for any end of a name. An
            update is of all shared parameters or of none, so one that is not named here keeps the market out.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    n_min: int
    max_colluding: int
    max_rounds: int
    max_clip_norm: float
    min_ring_bits: int = min(RING_BITS)
    release_validation: bool = False
    share_validation: bool = False
    release_sketch: bool = False
    max_epsilon: float | None = None
    max_delta: float | None = None
    privacy_mode: Literal["distributed", "local"] | None = None
    parameters: tuple[str, ...] = ("encoder.*", "projector.*")

    def __post_init__(self) -> None:
        if self.max_colluding < 0 or self.n_min < self.max_colluding + 2:
            raise ValueError("n_min must be at least max_colluding + 2, or the sum hides nobody")
        if self.max_rounds < 1:
            raise ValueError("max_rounds must be at least 1")
        if not 0 < self.max_clip_norm < float("inf"):
            raise ValueError("max_clip_norm must be positive and finite")
        if self.min_ring_bits not in RING_BITS:
            raise ValueError("min_ring_bits must be one of " + ", ".join(map(str, sorted(RING_BITS))))
        if self.max_epsilon is not None and not 0 < self.max_epsilon < float("inf"):
            raise ValueError("max_epsilon must be positive and finite")
        if self.max_delta is not None and not 0 < self.max_delta < 1:
            raise ValueError("max_delta must be above 0 and below 1")

    def check(self, manifest: RoundManifest, *, releases_validation: bool) -> None:
        """Refuse a manifest outside the accepted ranges, or a plan that releases more than is accepted.

        Raises:
            ProtocolViolation: names the value and both numbers.
        """
        rules = {
            f"n_min {manifest.n_min} is below this market's {self.n_min}": manifest.n_min < self.n_min,
            f"max_colluding {manifest.max_colluding} is below this market's {self.max_colluding}": (
                manifest.max_colluding < self.max_colluding
            ),
            f"round {manifest.round} is beyond this market's {self.max_rounds}": (
                manifest.round > self.max_rounds
            ),
            f"clip_norm {manifest.clip_norm} is above this market's {self.max_clip_norm}": (
                # The bound on a sketch keeps sums within their ring; users are bounded before it.
                manifest.round != SKETCH_ROUND and manifest.clip_norm > self.max_clip_norm
            ),
            "this market does not release its behaviour sketch": (
                manifest.round == SKETCH_ROUND and not self.release_sketch
            ),
            f"ring_bits {manifest.ring_bits} is below this market's {self.min_ring_bits}": (
                manifest.ring_bits < self.min_ring_bits
            ),
            "this market does not release its validation metric": (
                releases_validation and not self.release_validation
            ),
        }
        for rule, broken in rules.items():
            if broken:
                raise ProtocolViolation("coordinator", "round_task", rule)

    def check_parameters(self, names: Iterable[str]) -> None:
        """Refuse to train anything whose update this market does not let go.

        Args:
            names: of every parameter that an update holds.

        Raises:
            ConfigError: names the first that is not allowed.
        """
        for name in names:
            if not any(fnmatchcase(name, allowed) for allowed in self.parameters):
                raise ConfigError(
                    f"policy.parameters does not let updates of {name} leave this market",
                    remedy="add it if they may; otherwise this market cannot take part",
                )

    def check_privacy(self, privacy: UserPrivacy | None) -> None:
        """Refuse a plan that promises users less than this market insists on.

        Raises:
            ProtocolViolation: names the value and both numbers.
        """
        if self.max_epsilon is not None and privacy is None:
            raise ProtocolViolation("coordinator", "round_task", "this market wants differential privacy")
        if self.privacy_mode is not None and (privacy is None or privacy.mode != self.privacy_mode):
            mode = "none" if privacy is None else privacy.mode
            rule = f"privacy mode {mode!r} is not this market's {self.privacy_mode!r}"
            raise ProtocolViolation("coordinator", "round_task", rule)
        for name, value, most in (
            ("epsilon", privacy.epsilon if privacy else 0.0, self.max_epsilon),
            ("delta", privacy.delta if privacy else 0.0, self.max_delta),
        ):
            if most is not None and value > most:
                rule = f"{name} {value:g} is above this market's {most:g}"
                raise ProtocolViolation("coordinator", "round_task", rule)
