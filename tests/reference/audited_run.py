"""A run folder made with real keys and real secure aggregation, whose coordinator can be made to lie."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.numpy import save_file

from fecosr.audit.findings import Finding
from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.aggregation import Vector, parameters_hash
from fecosr.federation.optimisers import OptimiserState
from fecosr.federation.recorded import manifest_from, recorded_advert
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign, encode_countersignature, encode_kept
from fecosr.ledger.log import Log, append, encode_entry, genesis
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    CoordinatorRestarted,
    ManifestFields,
    PrivacyTerms,
    RecordedSignature,
    RoundAborted,
    RoundOpened,
    RoundReleased,
    RunCompleted,
    RunOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.secagg.messages import Phase
from fecosr.secagg.parameters import SecAggParameters
from fecosr.secagg.run import Participant, run_secagg
from fecosr.secagg.server import Completed

RUN = RunId("trial")
DE, FR, JP, US = MARKETS = tuple(NodeId(name) for name in ("de", "fr", "jp", "us"))
N_MIN, MAX_COLLUDING, CLIP_NORM, NUM_PARAMETERS = 3, 1, 2.5, 5

_Body = TypeVar("_Body", bound=Body)


def _key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()))


@dataclass(frozen=True)
class AuditedRun:
    """Hold the honest records of a run and everything needed to write them, or others, as a run folder.

    Attributes:
        bodies: the records in order.
        models: every model by its hash.
    """

    bodies: tuple[Body, ...]
    models: Mapping[bytes, Vector]
    coordinator: SigningKey
    identities: Mapping[NodeId, SigningKey]

    def replaced(
        self, kind: type[_Body], change: Callable[[_Body], Body], which: int = 0
    ) -> tuple[Body, ...]:
        """Return the records with the `which`-th of a kind changed."""
        places = [place for place, body in enumerate(self.bodies) if isinstance(body, kind)]
        bodies = list(self.bodies)
        chosen = bodies[places[which]]
        assert isinstance(chosen, kind)
        bodies[places[which]] = change(chosen)
        return tuple(bodies)

    def write(
        self, folder: Path, bodies: Sequence[Body] | None = None, vouching: Sequence[NodeId] = MARKETS
    ) -> None:
        """Write a run folder whose records are signed, and whose end the `vouching` markets vouch for.

        The others signed what they were shown before the last round, and were gone after it.
        """
        coordinator = folder / "coordinator"
        (coordinator / "models").mkdir(parents=True)
        bodies = self.bodies if bodies is None else bodies
        lines, log = self.signed(bodies)
        (coordinator / "ledger.jsonl").write_bytes(b"".join(lines))
        for digest, parameters in self.models.items():
            save_file({"shared": parameters}, coordinator / "models" / f"{digest.hex()}.safetensors")
        (folder / "roster.toml").write_text(self.roster_toml(), encoding="utf-8")
        opened = [place for place, body in enumerate(bodies) if isinstance(body, RoundOpened)]
        held = []
        for market in MARKETS:
            (folder / market).mkdir()
            kept = self.kept(market, log, [*opened, log.size] if market in vouching else opened)
            (folder / market / "checkpoints.jsonl").write_bytes(lines_with(kept))
            held.append(encode_countersignature(kept[-1].statement_of(market)) + b"\n")
        (coordinator / "countersignatures.jsonl").write_bytes(b"".join(held))

    def signed(self, bodies: Sequence[Body]) -> tuple[list[bytes], Log]:
        """Return the signed lines of a ledger, and the log of them."""
        log, lines = genesis(RUN), list[bytes]()
        for body in bodies:
            entry, log = append(log, body, self.coordinator)
            lines.append(encode_entry(entry) + b"\n")
        return lines, log

    def kept(self, market: NodeId, log: Log, sizes: Iterable[int]) -> list[KeptHead]:
        """Return what a market keeps that is shown a ledger at these sizes."""
        checkpoints = (sign_checkpoint(log.head_at(size), self.coordinator) for size in sizes)
        return [countersign(checkpoint, market, self.identities[market]) for checkpoint in checkpoints]

    def roster_toml(self) -> str:
        """Return the pinned identities."""
        nodes = "\n".join(f'{name} = "{key.public.hex()}"' for name, key in self.identities.items())
        return f'coordinator = "{self.coordinator.public.hex()}"\n\n[nodes]\n{nodes}\n'


def lines_with(kept: Iterable[KeptHead]) -> bytes:
    """Return the file in which a market keeps these heads."""
    return b"".join(encode_kept(head) + b"\n" for head in kept)


def ledger_of(run_dir: Path) -> Path:
    """Return the ledger of a run folder."""
    return run_dir / "coordinator" / "ledger.jsonl"


def lines_of(run_dir: Path) -> list[bytes]:
    """Return the lines of the ledger of a run folder, with their newlines."""
    return ledger_of(run_dir).read_bytes().splitlines(keepends=True)


def besides_history(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings but for those that the markets were shown another history."""
    return tuple(finding for finding in findings if finding.rule != "history")


def rules_of(findings: Iterable[Finding]) -> list[str]:
    """Return the rules that the findings name."""
    return [finding.rule for finding in findings]


def plan_json(rounds: int) -> str:
    """Return the canonical text of a plan, with one setting the audit does not know."""
    plan = {
        "run": {"name": RUN, "rounds": rounds, "seed": 3},
        "cohort": {"n_min": N_MIN, "max_colluding": MAX_COLLUDING},
        "aggregation": {"max_loss": 20.0, "clip_norm": CLIP_NORM, "ring_bits": 32},
        "privacy": {"mode": "none"},
    }
    return json.dumps(plan, sort_keys=True, separators=(",", ":"))


def make_run(rounds: int = 2) -> AuditedRun:
    """Return a run whose coordinator restarts in round 1, where later a market is lost on the way."""
    coordinator, identities = _key("coordinator"), {name: _key(name) for name in MARKETS}
    model = np.linspace(-1, 1, NUM_PARAMETERS, dtype=np.float32)
    models = {parameters_hash(model): model}
    text = plan_json(rounds)
    opened = RunOpened(
        run=RUN,
        plan_hash=sha256(text.encode()),
        plan_json=text,
        roster={name: key.public for name, key in identities.items()},
        coordinator=coordinator.public,
        version="0.1.0",
        initial_model_hash=parameters_hash(model),
        num_parameters=NUM_PARAMETERS,
        privacy=PrivacyTerms("none", "user", "add_or_remove_one", CLIP_NORM, None, None),
    )
    failed = _round_opened([opened], parameters_hash(model), 1, 1, coordinator)
    bodies: list[Body] = [
        opened,
        failed,
        CoordinatorRestarted(1, 1),
        RoundAborted(1, 1, "coordinator_restarted", "The coordinator stopped during this attempt.", False),
    ]
    for number in range(1, rounds + 1):
        attempt = 2 if number == 1 else 1
        model_in, model = parameters_hash(model), (model * np.float32(0.5)).astype(np.float32)
        models[parameters_hash(model)] = model
        opening = _round_opened(bodies, model_in, number, attempt, coordinator)
        leaving = JP if number == 1 else None
        bodies += [opening, *attempt_bodies(opening, identities, parameters_hash(model), leaving)]
    bodies.append(RunCompleted(rounds, parameters_hash(model)))
    return AuditedRun(tuple(bodies), models, coordinator, identities)


def attempt_bodies(
    opening: RoundOpened, identities: Mapping[NodeId, SigningKey], model_out: bytes, leaving: NodeId | None
) -> tuple[CohortFixed, SurvivorsFixed, UnmaskingBegun, RoundReleased]:
    """Return the records of one real secure aggregation that `leaving` leaves after its keys were shared."""
    manifest = manifest_from(opening.manifest)
    parameters = SecAggParameters(manifest.context(), 4, manifest.n_min, manifest.max_colluding)
    participants = [
        Participant(
            name, identities[name], np.ones(4, dtype=np.uint32), sha256(manifest.context() + name.encode())
        )
        for name in opening.expected
    ]
    ended = run_secagg(
        parameters, participants, lambda client, phase: client == leaving and phase is Phase.MASKED_INPUT
    )
    assert isinstance(ended, Completed)
    numbers = (opening.round, opening.attempt, ended.session)
    adverts = tuple(map(recorded_advert, ended.adverts))
    dropouts = {node: str(reason) for node, reason in ended.dropouts.items()}
    released = RoundReleased(
        round=opening.round,
        attempt=opening.attempt,
        session=ended.session,
        survivors=ended.survivors,
        consistency_signatures=tuple(
            RecordedSignature(signed.client, signed.signature) for signed in ended.proof.signatures
        ),
        total_hash=sha256(ended.total.astype("<u4").tobytes()),
        model_in=manifest.model_hash,
        model_out=model_out,
        optimiser_state=OptimiserState().hash(),
        validation=None,
        privacy_event=None,
    )
    survivors = SurvivorsFixed(*numbers, ended.survivors, dropouts)
    return CohortFixed(*numbers, adverts), survivors, UnmaskingBegun(*numbers), released


def signed(opening: RoundOpened, coordinator: SigningKey) -> RoundOpened:
    """Return the record with its manifest signed as it now stands."""
    return replace(
        opening, manifest_signature=coordinator.sign(manifest_from(opening.manifest).signed_bytes())
    )


def _round_opened(
    before: Sequence[Body], model_hash: bytes, number: int, attempt: int, coordinator: SigningKey
) -> RoundOpened:
    opened, log = before[0], genesis(RUN)
    assert isinstance(opened, RunOpened)
    for body in before:
        _, log = append(log, body, coordinator)
    manifest = ManifestFields(
        run=RUN,
        round=number,
        attempt=attempt,
        plan_hash=opened.plan_hash,
        model_hash=model_hash,
        num_parameters=NUM_PARAMETERS,
        clip_norm=CLIP_NORM,
        num_summands=len(MARKETS),
        n_min=N_MIN,
        max_colluding=MAX_COLLUDING,
        ring_bits=32,
        ledger_size=log.size,
        ledger_root=log.head.root,
        noise=None,
        sketch_hash=None,
    )
    return signed(RoundOpened(number, attempt, manifest, b"", MARKETS), coordinator)
