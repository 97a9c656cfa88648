"""Keys, entropy and setups of all parties of a federation in this process, from one seed."""

from collections.abc import Sequence

from fecosr import __version__
from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.cohort import Roster
from fecosr.federation.contribution import NodeSetup
from fecosr.federation.plan import FederationPlan
from fecosr.federation.policy import NodePolicy
from fecosr.federation.progress import CoordinatorSetup
from fecosr.ids import NodeId
from fecosr.privacy.accounting import pld_epsilon


class Parties:
    """Stand for everybody's machine.

    Args:
        plan: what all agreed on; every market's policy accepts just that.
        markets: who takes part.
        num_parameters: P, of the shared model.
        seed: stands for all operating systems' entropy.
    """

    def __init__(
        self, plan: FederationPlan, markets: Sequence[NodeId], num_parameters: int, seed: int
    ) -> None:
        self._plan, self._num_parameters, self._seed, self._drawn = plan, num_parameters, seed, 0
        self._keys = {name: SigningKey(self.secret("identity", name)) for name in markets}
        self._coordinator = SigningKey(self.secret("identity", "coordinator"))
        self._roster = Roster(
            self._coordinator.public, {name: key.public for name, key in self._keys.items()}
        )

    def coordinator(self) -> CoordinatorSetup:
        """Return what the coordinator was provisioned with."""
        return CoordinatorSetup(self._plan, self._roster, self._coordinator, __version__)

    def nodes(self) -> list[NodeSetup]:
        """Return what the markets were provisioned with; their budgets count."""
        plan = self._plan
        policy = NodePolicy(
            n_min=plan.n_min,
            max_colluding=plan.max_colluding,
            max_rounds=plan.rounds,
            max_clip_norm=plan.clip_norm,
            max_epsilon=plan.privacy.epsilon if plan.privacy else None,
            max_delta=plan.privacy.delta if plan.privacy else None,
        )
        return [
            NodeSetup(
                name,
                key,
                self._roster,
                plan,
                policy,
                self._num_parameters,
                __version__,
                {"pld": pld_epsilon},
            )
            for name, key in self._keys.items()
        ]

    def entropy(self, name: NodeId) -> bytes:
        """Return what stands for 32 fresh bytes."""
        self._drawn += 1
        return self.secret("session", name, self._drawn)

    def secret(self, *names: str | int) -> bytes:
        """Return 32 bytes that belong to these names."""
        return sha256(repr(("empirical audit", self._seed, *names)).encode())
