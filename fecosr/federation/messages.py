"""What the coordinator and the market nodes say to each other around a secure aggregation.

Everything a node acts upon is signed by the coordinator's pinned identity and hashes what it speaks of, so a
node never has to trust the connection it came through.
"""

from dataclasses import astuple, dataclass
from enum import StrEnum

from fecosr.crypto.labels import Label, encode, sha256
from fecosr.ids import RunId
from fecosr.ledger.checkpoint import Growth
from fecosr.secagg.messages import ClientMessage, ServerMessage


@dataclass(frozen=True, slots=True)
class NoiseTerms:
    """Fix the noise of a private round, in whole units (see `fecosr.privacy.integer_mechanism`).

    Attributes:
        clip_units: L2 sensitivity of the integer sum; that many units are clip_norm.
        share_variance: parameter sigma^2 of the discrete Gaussian every node adds.
        num_shares: shares in the sum that the adversary does not know.
    """

    clip_units: int
    share_variance: int
    num_shares: int


@dataclass(frozen=True, slots=True)
class RoundManifest:
    """Fix everything about one attempt at one round before anybody trains.

    Attributes:
        run: the run this round belongs to.
        round: from 1; 0 is the round that adds up sketches of behaviour.
        attempt: from 1 within a round; rises by one for every retry, so that no two sessions share a context.
        plan_hash: SHA-256 of the canonical federation plan every party was provisioned with.
        model_hash: SHA-256 of the shared parameters the round starts from (float32, little endian).
        num_parameters: length of the shared parameter vector.
        clip_norm: L2 bound on each node's update; with noise, on the contribution of each user.
        num_summands: the most updates the encoding leaves room for (the size of the roster).
        n_min: fewest survivors whose sum may be opened.
        max_colluding: nodes assumed to collude with the coordinator.
        ring_bits: 32, 24 or 16, the bits per parameter in which an update travels.
        ledger_size: records of the coordinator's ledger before this attempt.
        ledger_root: root of the tree over them. So nodes that were shown different histories have different
            contexts, and cannot take part in one session.
        noise: of a private round; None when the exact sum is opened.
        sketch_hash: SHA-256 of the sum of behaviour sketches that semantic vectors are made of; None in the
            round that opens it, and where the plan has none.
    """

    run: RunId
    round: int
    attempt: int
    plan_hash: bytes
    model_hash: bytes
    num_parameters: int
    clip_norm: float
    num_summands: int
    n_min: int
    max_colluding: int
    ring_bits: int
    ledger_size: int
    ledger_root: bytes
    noise: NoiseTerms | None = None
    sketch_hash: bytes | None = None

    def signed_bytes(self) -> bytes:
        """Return the one encoding of this manifest that is hashed and signed."""
        noise = () if self.noise is None else astuple(self.noise)
        sketch = () if self.sketch_hash is None else (self.sketch_hash,)
        return encode(
            Label.ROUND_MANIFEST,
            self.run.encode(),
            self.round.to_bytes(8, "big"),
            self.attempt.to_bytes(8, "big"),
            self.plan_hash,
            self.model_hash,
            self.num_parameters.to_bytes(8, "big"),
            self.clip_norm.hex().encode(),
            self.num_summands.to_bytes(8, "big"),
            self.n_min.to_bytes(8, "big"),
            self.max_colluding.to_bytes(8, "big"),
            self.ring_bits.to_bytes(8, "big"),
            self.ledger_size.to_bytes(8, "big"),
            self.ledger_root,
            *(part.to_bytes(8, "big") for part in noise),
            *sketch,
        )

    def context(self) -> bytes:
        """Return the 32 bytes every key, mask and signature of this attempt is bound to."""
        return sha256(self.signed_bytes())


@dataclass(frozen=True, slots=True)
class HeadSigned:
    """Countersign a head of the ledger (node -> coordinator), stored by the node before it leaves.

    Attributes:
        size: number of records.
        root: of the tree over them, 32 bytes.
        signature: the node's Ed25519 identity, see `fecosr.ledger.countersignature`, 64 bytes.
    """

    size: int
    root: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """Introduce a node after it connected (node -> coordinator).

    Attributes:
        run: the run it was provisioned for.
        plan_hash: SHA-256 of its copy of the plan, which fixes semantics, model and training too.
        version: its FeCoSR version.
        signed: the head of the ledger that it signed last; None before the first.
    """

    run: RunId
    plan_hash: bytes
    version: str
    signed: HeadSigned | None


@dataclass(frozen=True, slots=True)
class RoundTask:
    """Ask a node to train for one round (coordinator -> node). The model itself is fetched by its hash.

    Attributes:
        manifest: what is asked.
        signature: the coordinator's, over the manifest.
        growth: the ledger before this attempt, which is the one that the manifest names.
    """

    manifest: RoundManifest
    signature: bytes
    growth: Growth


@dataclass(frozen=True, slots=True)
class FromClient:
    """Carry a secure-aggregation message from a node, tied to the attempt it belongs to."""

    round: int
    attempt: int
    body: ClientMessage


@dataclass(frozen=True, slots=True)
class FromServer:
    """Carry a secure-aggregation message to a node, tied to the attempt it belongs to."""

    round: int
    attempt: int
    body: ServerMessage


class Outcome(StrEnum):
    """Say how an attempt at a round ended."""

    RELEASED = "released"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Release:
    """State what a round released.

    Attributes:
        model_hash: SHA-256 of the shared parameters after the round.
        validation: the markets' weighted mean validation NDCG@10 of the model the round started from; None
            when the plan hides it, or no market has validation users.
    """

    model_hash: bytes
    validation: float | None


@dataclass(frozen=True, slots=True)
class SketchRelease:
    """State what the sketch round released: the sum of the markets' sketches, by its SHA-256."""

    sketch_hash: bytes


@dataclass(frozen=True, slots=True)
class RoundClosed:
    """Tell a node that an attempt is over (coordinator -> node).

    Attributes:
        round: the round.
        attempt: the attempt that ended.
        outcome: whether a sum was released.
        reason: why it was aborted; empty when released.
        release: what was released, by round 0 a sketch and by every other a model; None when it was aborted.
        growth: the ledger after the record of this ending.
    """

    round: int
    attempt: int
    outcome: Outcome
    reason: str
    release: Release | SketchRelease | None
    growth: Growth


@dataclass(frozen=True, slots=True)
class RunClosed:
    """Hand over the final model by its hash and end the run (coordinator -> node).

    Attributes:
        run: the run.
        rounds: rounds released.
        model_hash: SHA-256 of the final shared parameters.
        history: every round's release in order, from which the choice of the final model follows; empty when
            the plan has no early stopping, because then it is the last.
        ending: the coordinator's signature of the last record, which completes the run with these rounds and
            this model, 64 bytes.
        inclusion: the proof that this record is the last of the ledger.
        growth: the ledger after its last record.
        signature: the coordinator's Ed25519 identity over run, rounds, model_hash, history and, if there is
            one, sketch_hash; 64 bytes.
        sketch_hash: SHA-256 of the sum of sketches that semantic vectors are made of; None without any.
    """

    run: RunId
    rounds: int
    model_hash: bytes
    history: tuple[Release, ...]
    ending: bytes
    inclusion: tuple[bytes, ...]
    growth: Growth
    signature: bytes
    sketch_hash: bytes | None = None

    def signed_bytes(self) -> bytes:
        """Return the bytes the coordinator signs."""
        rounds = self.rounds.to_bytes(8, "big")
        return encode(
            Label.RUN_CLOSED,
            self.run.encode(),
            rounds,
            self.model_hash,
            _history_hash(self.history),
            *(() if self.sketch_hash is None else (self.sketch_hash,)),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    """Report that the node holds the final model and will not come back (node -> coordinator)."""

    model_hash: bytes


@dataclass(frozen=True, slots=True)
class MetricShared:
    """Show a market's own validation metric, because its policy says so (node -> coordinator).

    It is in no ledger and decides nothing. Beside a released mean it narrows down what the others' is.

    Attributes:
        round: the round that began with the measured model, from 1; `attempt` likewise.
        validation: NDCG@10 on the market's validation users, in 0 .. 1.
    """

    round: int
    attempt: int
    validation: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refuse a node for a named reason that only an operator can mend (coordinator -> node)."""

    reason: str


def _history_hash(history: tuple[Release, ...]) -> bytes:
    parts: list[bytes] = []
    for release in history:
        measured = b"" if release.validation is None else release.validation.hex().encode()
        parts += [release.model_hash, measured]
    return sha256(encode(Label.RELEASES, *parts))


NodeMessage = Hello | FromClient | HeadSigned | Finished | MetricShared
CoordinatorMessage = RoundTask | FromServer | RoundClosed | RunClosed | Rejected
