"""What a market node checks before it trains, and what it makes of its update before anything leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fecosr.crypto.key_agreement import derive_key
from fecosr.crypto.labels import Label
from fecosr.crypto.signatures import SigningKey, verify
from fecosr.errors import CryptoError, MisuseError, ProtocolViolation
from fecosr.federation.aggregation import RingVector, Vector, weight_of
from fecosr.federation.cohort import Roster, invited
from fecosr.federation.contents import contents_length, private_encoding, update_encoding, vector_terms
from fecosr.federation.effects import SumOpened
from fecosr.federation.ending import check_ending, check_model
from fecosr.federation.messages import NoiseTerms, Release, RoundManifest, RoundTask, RunClosed
from fecosr.federation.plan import FederationPlan
from fecosr.federation.policy import NodePolicy
from fecosr.federation.private_rounds import NoisyUpdate, PrivateContribution, noise_terms
from fecosr.federation.sketch import SKETCH_ROUND, SketchContribution, prepare_sketch
from fecosr.federation.user_privacy import LocalPrivacy
from fecosr.ids import COORDINATOR, NodeId
from fecosr.privacy.accounting import Accountant
from fecosr.privacy.clipping import clipping
from fecosr.secagg import client as secagg
from fecosr.secagg.masking import Summand
from fecosr.secagg.messages import (
    AdvertList,
    ClientMessage,
    ConsistencyProof,
    Phase,
    ServerMessage,
    ShareDelivery,
    SurvivorList,
)
from fecosr.secagg.parameters import SecAggParameters
from fecosr.transition import Transition


@dataclass(frozen=True, slots=True)
class NodeSetup:
    """Hold what a market node was provisioned with.

    Attributes:
        me: this market.
        identity: its Ed25519 key.
        roster: everybody's public identities.
        plan: what all parties agreed on.
        policy: what this market's own operator accepts.
        num_parameters: length of the shared vector of the model the plan describes.
        version: this software's version.
        accountants: which must agree on what a private run costs; the largest figure counts.
    """

    me: NodeId
    identity: SigningKey = field(repr=False)
    roster: Roster
    plan: FederationPlan
    policy: NodePolicy
    num_parameters: int
    version: str
    accountants: Mapping[str, Accountant] = field(default_factory=dict, repr=False)

    def invited(self, round_number: int) -> frozenset[NodeId]:
        """Return the markets that are invited to a round."""
        return invited(self.plan.run, round_number, self.roster, self.plan.participation)


@dataclass(frozen=True, slots=True, eq=False)
class LocalUpdate:
    """Hold what local training yields; it leaves the market only clipped, encoded and masked.

    Attributes:
        model_hash: the model it started from.
        update: float32 [P], trained minus received parameters.
        num_users: users it was trained on.
        loss: mean training loss.
        validation: NDCG@10 of the received parameters on this market's own validation users; None when it was
            not measured, or there are none.
    """

    model_hash: bytes
    update: Vector = field(repr=False)
    num_users: int = field(repr=False)
    loss: float = field(repr=False)
    validation: float | None = field(default=None, repr=False)


def check_task(
    setup: NodeSetup,
    claimed: tuple[int, int],
    models: Mapping[int, bytes],
    releases: Mapping[int, Release],
    task: RoundTask,
) -> None:
    """Refuse a task that the coordinator did not sign, that differs from the plan, or that is not new.

    Args:
        setup: what this node was provisioned with.
        claimed: the latest (round, attempt) this node took part in.
        models: the model of every round this node ever took part in.
        releases: what it was told of every round it saw the end of.
        task: what the coordinator asks for.

    Raises:
        ProtocolViolation: names the rule.
    """
    manifest = task.manifest
    _verify(setup, task.signature, manifest.signed_bytes(), "round_task")
    plan = setup.plan
    due = vector_terms(manifest.round, setup.num_parameters, plan)
    rules = {
        "the manifest is of another run": manifest.run != plan.run,
        "the manifest is of another plan": manifest.plan_hash != plan.hash(),
        "the manifest is of another model": manifest.num_parameters != due.num_parameters,
        "clip_norm differs from the plan": manifest.clip_norm != due.clip_norm,
        "n_min differs from the plan": manifest.n_min != plan.n_min,
        "max_colluding differs from the plan": manifest.max_colluding != plan.max_colluding,
        "ring_bits differs from the plan": manifest.ring_bits != due.ring_bits,
        "the manifest names another ledger than was shown": (
            (manifest.ledger_size, manifest.ledger_root)
            != (task.growth.checkpoint.size, task.growth.checkpoint.root)
        ),
        "the noise differs from the plan": manifest.noise != _noise(setup),
        "num_summands differs from the roster": manifest.num_summands != len(setup.roster.nodes),
        "the round is outside the plan": not plan.first_round <= manifest.round <= plan.rounds,
        "the attempt is outside the plan": not 1 <= manifest.attempt <= plan.max_attempts,
        "the round has another model already": (
            models.get(manifest.round, manifest.model_hash) != manifest.model_hash
        ),
        "the model was that of an earlier round": any(
            model_hash == manifest.model_hash and number != manifest.round
            for number, model_hash in models.items()
        ),
        "the attempt is not newer than the last": (manifest.round, manifest.attempt) <= claimed,
        "this market is not invited to the round": setup.me not in setup.invited(manifest.round),
    }
    for rule, broken in rules.items():
        if broken:
            raise ProtocolViolation(COORDINATOR, "round_task", rule)
    check_model(manifest, releases, plan.schedule)
    setup.policy.check(manifest, releases_validation=plan.releases_validation)
    setup.policy.check_privacy(plan.privacy)


def check_run_closed(
    setup: NodeSetup, models: Mapping[int, bytes], releases: Mapping[int, Release], closed: RunClosed
) -> None:
    """Refuse an end of the run that the coordinator did not sign, or that its own releases contradict.

    Args:
        setup: what this node was provisioned with.
        models: the model of every round this node ever took part in.
        releases: what it was told of every round it saw the end of.
        closed: what the coordinator says.

    Raises:
        ProtocolViolation: names the rule.
    """
    _verify(setup, closed.signature, closed.signed_bytes(), "run_closed")
    if closed.run != setup.plan.run:
        raise ProtocolViolation(COORDINATOR, "run_closed", "the statement is of another run")
    check_ending(closed, models, releases, setup.plan.schedule)


def check_invited(setup: NodeSetup, manifest: RoundManifest, message: ServerMessage) -> None:
    """Refuse a cohort with a market that is not invited to the round.

    Every later message can only name members of the cohort, so it is enough to look at the adverts.

    Raises:
        ProtocolViolation: names the markets.
    """
    if not isinstance(message, AdvertList):
        return
    strangers = {advert.client for advert in message.adverts} - setup.invited(manifest.round)
    if strangers:
        rule = f"{', '.join(sorted(strangers))} takes part without being invited to the round"
        raise ProtocolViolation(COORDINATOR, Phase.ADVERTISE_KEYS, rule)


def check_same_nodes(
    me: NodeId, manifest: RoundManifest, opened: SumOpened | None, message: ServerMessage
) -> None:
    """Refuse a second sum over a model whose sum this node helped to open, unless it is over the same nodes.

    Every message that names nodes must name exactly those. The cohort and the senders of shares are checked
    before anything is uploaded, because a vector that is in the running sum stays in it whether or not its
    owner signs; the survivors are checked as well, because nodes of the cohort could be called dropouts.

    Raises:
        ProtocolViolation: another set of nodes.
    """
    if opened is None or opened.model_hash != manifest.model_hash:
        return
    match message:
        case AdvertList(adverts=adverts):
            phase, named = Phase.ADVERTISE_KEYS, {advert.client for advert in adverts}
        case ShareDelivery(shares=shares):
            phase, named = Phase.SHARE_KEYS, {me, *shares}
        case SurvivorList(survivors=survivors):
            phase, named = Phase.MASKED_INPUT, set(survivors)
        case ConsistencyProof():
            return
    if named != set(opened.survivors):
        rule = "a second sum over this model must be over the same nodes"
        raise ProtocolViolation(COORDINATOR, phase, rule)


Trained = LocalUpdate | NoisyUpdate | PrivateContribution | SketchContribution
"""What a market brings to a round: an update, exact or noisy, or part of a noisy sum; to round 0 a sketch."""


def begin_session(
    setup: NodeSetup, manifest: RoundManifest, trained: Trained, entropy: bytes
) -> Transition[secagg.ClientState, secagg.ClientRecord, ClientMessage]:
    """Start the secure aggregation with what was trained; an update is clipped, and encoded while masked.

    Args:
        setup: what this node was provisioned with.
        manifest: the attempt, already checked.
        trained: the update or sketch to contribute.
        entropy: 32 fresh bytes from the operating system; every secret of the session derives from them.

    Guarantees:
        The vector handed to the secure aggregation encodes at most `clip_norm` in L2 norm times a weight of
        at most 1, so that it fits the ring whatever the training produced.
    """
    plan = setup.plan
    parameters = SecAggParameters(
        context=manifest.context(),
        length=contents_length(manifest, plan),
        n_min=max(manifest.n_min, setup.policy.n_min),
        max_colluding=manifest.max_colluding,
        ring_bits=manifest.ring_bits,
    )
    vector = _encoded(plan, manifest, trained, entropy)
    return secagg.begin(parameters, setup.me, setup.identity, setup.roster.nodes, vector, entropy)


def _encoded(
    plan: FederationPlan, manifest: RoundManifest, trained: Trained, entropy: bytes
) -> RingVector | Summand:
    if isinstance(trained, SketchContribution) != (manifest.round == SKETCH_ROUND):
        raise MisuseError("sketches are contributed to round 0, and nothing else is")
    if isinstance(trained, SketchContribution):
        return prepare_sketch(trained, manifest, entropy)
    private = private_encoding(manifest, plan)
    match trained:
        case PrivateContribution() if private is not None:
            return private.encode(trained)
        case NoisyUpdate(update=update) if isinstance(plan.privacy, LocalPrivacy):
            # The number of users and the loss would be releases of their own.
            weight, loss, validation = 1.0, 0.0, None
        case LocalUpdate(update=update) if plan.privacy is None:
            weight = weight_of(
                trained.num_users,
                reference_num_users=plan.reference_num_users,
                exponent=plan.weight_exponent,
            )
            loss = min(max(trained.loss, 0.0), plan.max_loss)
            validation = trained.validation if plan.releases_validation else None
        case _:
            raise MisuseError("rounds of this plan are contributed to in another way")
    clipped = clipping(update, manifest.clip_norm)
    return update_encoding(manifest, plan).prepare(
        update,
        weight=weight,
        loss=loss,
        validation=validation,
        rounding_seed=derive_key(entropy, Label.ROUNDING, manifest.context()),
        shrink=clipped.factor,
        norm=clipped.norm,
    )


def _noise(setup: NodeSetup) -> NoiseTerms | None:
    """Return the noise that every manifest of the plan must state."""
    mechanism = setup.plan.mechanism(setup.num_parameters, len(setup.roster.nodes))
    return None if mechanism is None else noise_terms(mechanism)


def _verify(setup: NodeSetup, signature: bytes, message: bytes, phase: str) -> None:
    try:
        verify(setup.roster.coordinator, signature, message)
    except CryptoError:
        raise ProtocolViolation(COORDINATOR, phase, "the signature is not the pinned coordinator's") from None
