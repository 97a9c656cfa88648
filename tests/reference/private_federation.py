"""A small federation in memory that runs in a private mode, training replaced by known users."""

from collections.abc import Iterable, Mapping

import numpy as np

from fecosr.crypto.labels import sha256
from fecosr.federation.aggregation import Vector
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.messages import RoundManifest
from fecosr.federation.policy import NodePolicy
from fecosr.federation.private_rounds import NoisyUpdate, PrivateContribution, mechanism_of
from fecosr.federation.user_privacy import DistributedPrivacy, LocalPrivacy, UserPrivacy
from fecosr.ids import NodeId
from fecosr.privacy.accounting import Accountant, renyi_bound
from fecosr.privacy.contributions import IntegerVector, UserSum, noisy_sum, to_reals, to_ring
from fecosr.privacy.integer_mechanism import IntegerMechanism
from tests.reference.small_federation import NUM_PARAMETERS, SmallFederation

PRIVACY = DistributedPrivacy(
    epsilon=8.0,
    delta=1e-5,
    clip_norm=1.0,
    noise_multiplier=2.0,
    sampling_probability=0.5,
    expected_users=30.0,
)
LOCAL = LocalPrivacy(
    epsilon=8.0,
    delta=1e-5,
    clip_norm=1.0,
    noise_multiplier=2.0,
    sampling_probability=0.5,
    expected_users=5.0,
    steps=3,
)
USERS = 10
"""In each market; all of them take part in every sum, so that the oracle needs no coins."""


class PrivateFederation:
    """Provision a federation whose markets contribute gradients of known users, with real noise.

    Attributes:
        contributions: every one that was made, in order.
    """

    def __init__(
        self,
        names: Iterable[str] = ("de", "fr", "jp", "uk"),
        accountants: Mapping[str, Accountant] | None = None,
        privacy: UserPrivacy = PRIVACY,
        **plan_changes: object,
    ) -> None:
        bound = privacy.clip_norm if isinstance(privacy, DistributedPrivacy) else 10.0
        changes = {"clip_norm": bound, "privacy": privacy, **plan_changes}
        self.privacy = privacy
        self.small = SmallFederation(names, **changes)
        self.accountants = {"renyi": renyi_bound} if accountants is None else accountants
        self.contributions: list[PrivateContribution | NoisyUpdate] = []

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

    def train(
        self, name: NodeId, manifest: RoundManifest, parameters: Vector
    ) -> PrivateContribution | NoisyUpdate:
        """Return what a market brings to a round: users' gradients clipped, with fresh noise."""
        assert len(parameters) == NUM_PARAMETERS
        contribution: PrivateContribution | NoisyUpdate
        if isinstance(self.privacy, LocalPrivacy):
            contribution = self._noisy_update(name, manifest, self.privacy)
        else:
            mechanism = mechanism_of(manifest, self.privacy)
            noisy = noisy_sum(self._total(name, mechanism), mechanism, self._secret(name, 0))
            contribution = PrivateContribution(manifest.model_hash, to_ring(noisy))
        self.contributions.append(contribution)
        return contribution

    def _noisy_update(self, name: NodeId, manifest: RoundManifest, privacy: LocalPrivacy) -> NoisyUpdate:
        mechanism = mechanism_of(manifest, privacy)
        update = np.zeros(NUM_PARAMETERS, np.float32)
        for step in range(privacy.steps):
            noisy = noisy_sum(self._total(name, mechanism), mechanism, self._secret(name, step))
            update -= to_reals(noisy, mechanism) / np.float32(privacy.expected_users)
        return NoisyUpdate(manifest.model_hash, update)

    def _total(self, name: NodeId, mechanism: IntegerMechanism) -> IntegerVector:
        total = UserSum(mechanism)
        for _ in range(USERS):
            total.add([self.gradient(name)])
        return total.total()

    def _secret(self, name: NodeId, step: int) -> bytes:
        return sha256(f"{name} {len(self.contributions)} {step}".encode())

    def expected_step(self, survivors: Iterable[NodeId]) -> Vector:
        """Return the step of mode "distributed" without noise, computed in the open."""
        step = np.zeros(NUM_PARAMETERS, np.float32)
        for name in survivors:
            step -= USERS * self.gradient(name) / np.float32(4.0) / np.float32(PRIVACY.expected_users)
        return step
