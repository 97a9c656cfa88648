"""A small federation in memory that runs in privacy mode "distributed", training replaced by known users."""

from collections.abc import Iterable, Mapping

import numpy as np

from fecosr.crypto.labels import sha256
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.messages import RoundManifest
from fecosr.federation.policy import NodePolicy
from fecosr.federation.private_rounds import DistributedPrivacy, PrivateContribution, mechanism_of
from fecosr.ids import NodeId
from fecosr.privacy.accounting import Accountant, renyi_bound
from fecosr.privacy.contributions import UserSum, noisy_sum, to_ring
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

PRIVACY = DistributedPrivacy(
    epsilon=8.0,
    delta=1e-5,
    clip_norm=1.0,
    noise_multiplier=2.0,
    sampling_probability=0.5,
    expected_users=30.0,
)
USERS = 10
"""In each market; all of them take part in every sum, so that the oracle needs no coins."""


class PrivateFederation:
    """Provision a federation whose markets contribute gradients of known users, with real noise.

    Attributes:
        drawn: how many secrets were drawn, one for each contribution.
    """

    def __init__(
        self,
        names: Iterable[str] = ("de", "fr", "jp", "uk"),
        accountants: Mapping[str, Accountant] | None = None,
        privacy: DistributedPrivacy = PRIVACY,
        **plan_changes: object,
    ) -> None:
        changes = {"clip_norm": privacy.clip_norm, "privacy": privacy, **plan_changes}
        self.small = SmallFederation(names, **changes)
        self.accountants = {"renyi": renyi_bound} if accountants is None else accountants
        self.contributions: list[PrivateContribution] = []

    def node(self, name: str, **changes: object) -> NodeSetup:
        """Return one market's setup."""
        policy = NodePolicy(n_min=3, max_colluding=1, max_rounds=100, max_clip_norm=100.0, max_epsilon=8.0)
        return self.small.node(name, **{"policy": policy, "accountants": self.accountants, **changes})

    def nodes(self) -> list[NodeSetup]:
        """Return every market's setup."""
        return [self.node(name) for name in self.small.names]

    def gradient(self, name: NodeId) -> Vector:
        """Return the gradient of each user of a market, four times as long as clip_norm."""
        place = self.small.names.index(name)
        direction = np.zeros(NUM_PARAMETERS, np.float32)
        direction[place] = 4.0
        return direction

    def train(self, name: NodeId, manifest: RoundManifest, parameters: Vector) -> PrivateContribution:
        """Return a contribution with users' gradients clipped and a fresh share of noise."""
        assert len(parameters) == NUM_PARAMETERS
        mechanism = mechanism_of(manifest)
        total = UserSum(mechanism)
        for _ in range(USERS):
            total.add([self.gradient(name)])
        secret = sha256(f"{name} {len(self.contributions)}".encode())
        contribution = PrivateContribution(
            manifest.model_hash, to_ring(noisy_sum(total.total(), mechanism, secret))
        )
        self.contributions.append(contribution)
        return contribution

    def expected_step(self, survivors: Iterable[NodeId]) -> Vector:
        """Return the step without noise, computed in the open."""
        step = np.zeros(NUM_PARAMETERS, np.float32)
        for name in survivors:
            step -= USERS * self.gradient(name) / np.float32(4.0) / np.float32(PRIVACY.expected_users)
        return step
