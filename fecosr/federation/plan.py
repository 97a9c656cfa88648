"""The part of the federation plan that the protocol itself acts upon."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.crypto.labels import sha256
from fecosr.federation.ending import EarlyStopping, Schedule
from fecosr.federation.optimisers import ServerOptimiser
from fecosr.federation.sketch import SKETCH_ROUND, SketchTerms
from fecosr.federation.user_privacy import UserPrivacy
from fecosr.ids import RunId
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.secagg.messages import Phase


@dataclass(frozen=True, slots=True)
class FederationPlan:
    """Hold what all parties agreed on before the run.

    Attributes:
        run: the run's name.
        rounds: most rounds to release.
        early_stopping: when the run ends before that; None: never.
        max_attempts: attempts at one round before the run is given up.
        text: canonical JSON of the whole plan; its SHA-256 stands for the plan in every manifest.
        n_min: fewest survivors whose sum may be opened.
        max_colluding: nodes assumed to collude with the coordinator.
        participation: share or number of the markets invited to a round, see `fecosr.federation.cohort`.
        clip_norm: L2 bound on a node's update; in mode "distributed" on the contribution of a user.
        ring_bits: 32, 24 or 16, the bits per parameter in which an update travels.
        releases_validation: whether the mean validation metric is released with every sum.
        max_loss: a reported training loss is cut to this, so that it fits the encoding.
        reference_num_users: a market of this many users or more has weight 1.
        weight_exponent: see `fecosr.federation.aggregation.weight_of`.
        server: the optimiser that turns the mean update of a round into the next model.
        join_seconds: how long a round waits for missing nodes once n_min are connected.
        finish_seconds: how long the end of the run waits for nodes to fetch the final model.
        phase_seconds: deadline of each secure-aggregation phase; AdvertiseKeys covers the training.
        privacy: what is promised to users; None in mode "none".
        sketch: of round 0, which adds up sketches of behaviour; None when there is no such round.
    """

    run: RunId
    rounds: int
    early_stopping: EarlyStopping | None
    max_attempts: int
    text: str = field(repr=False)
    n_min: int
    max_colluding: int
    participation: float
    clip_norm: float
    ring_bits: int
    releases_validation: bool
    max_loss: float
    reference_num_users: int
    weight_exponent: float
    server: ServerOptimiser
    join_seconds: float
    finish_seconds: float
    phase_seconds: Mapping[Phase, float]
    privacy: UserPrivacy | None = None
    sketch: SketchTerms | None = None

    @property
    def schedule(self) -> Schedule:
        """Return the rule that says when the run is over."""
        return Schedule(self.rounds, self.early_stopping)

    @property
    def first_round(self) -> int:
        """Return the number of the first round."""
        return 1 if self.sketch is None else SKETCH_ROUND

    def mechanism(self, num_parameters: int, num_nodes: int) -> IntegerMechanism | None:
        """Return how users are clipped and sums over them made noisy; None in mode "none".

        Raises:
            MisuseError: no mechanism keeps the sum within its ring.
        """
        if self.privacy is None:
            return None
        return self.privacy.mechanism(
            num_parameters=num_parameters,
            num_nodes=num_nodes,
            n_min=self.n_min,
            max_colluding=self.max_colluding,
        )

    def hash(self) -> bytes:
        """Return the 32 bytes that stand for this plan."""
        return sha256(self.text.encode("ascii"))
