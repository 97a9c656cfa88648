"""The run folder of a long private run that never took place: real signatures, nothing trained or summed.

An audit finds nothing wrong with it and has all to do that thousands of rounds give it to do; sums and
models of earlier rounds are not there, as after any clean-up.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from fecosr.crypto.labels import sha256
from fecosr.crypto.signatures import SigningKey
from fecosr.federation.aggregation import parameters_hash
from fecosr.federation.messages import RoundManifest
from fecosr.federation.private_rounds import noise_terms
from fecosr.federation.recorded import manifest_fields, recorded_advert, recorded_event
from fecosr.federation.spending import charge_name
from fecosr.federation.user_privacy import DistributedPrivacy
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import countersign, encode_countersignature, encode_kept
from fecosr.ledger.log import Log, append, encode_entry, genesis
from fecosr.ledger.records import (
    Body,
    CohortFixed,
    PrivacyTerms,
    RecordedSignature,
    RoundOpened,
    RoundReleased,
    RunCompleted,
    RunOpened,
    SurvivorsFixed,
    UnmaskingBegun,
)
from fecosr.privacy.budget import Charged
from fecosr.privacy.events import Charge
from fecosr.secagg.messages import KeyAdvert
from fecosr.secagg.statements import advert_statement, session_id, survivors_statement
from fecosr.storage.archive import FolderFiles
from fecosr.storage.parameters import ModelStore
from fecosr.storage.spending_store import SPENDING_FILE, encode_record

RUN: Final = RunId("long")
MARKETS: Final = tuple(NodeId(name) for name in ("east", "north", "west"))
NUM_PARAMETERS: Final = 1000
PRIVACY: Final = DistributedPrivacy(
    epsilon=8.0,
    delta=1e-6,
    clip_norm=1.0,
    noise_multiplier=4.0,
    sampling_probability=0.01,
    expected_users=1000.0,
)


class LongRun:
    """Make the records of a run of `rounds` rounds, one after the other."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._coordinator = _key("coordinator")
        self._keys = {market: _key(market) for market in MARKETS}
        self._plan = _plan_json(rounds)
        self._final = np.ones(NUM_PARAMETERS, dtype=np.float32)
        self._mechanism = PRIVACY.mechanism(
            num_parameters=NUM_PARAMETERS, num_nodes=len(MARKETS), n_min=len(MARKETS), max_colluding=0
        )
        self._log: Log = genesis(RUN)
        self._lines: list[bytes] = []
        self._shown: list[int] = []

    def write(self, folder: Path) -> None:
        """Write the run folder."""
        self._record(self._opening())
        for number in range(1, self._rounds + 1):
            self._shown.append(self._log.size)
            for body in self._round(number):
                self._record(body)
        self._record(RunCompleted(self._rounds, self._model(self._rounds)))
        self._shown.append(self._log.size)
        coordinator = folder / "coordinator"
        coordinator.mkdir(parents=True)
        _write(coordinator / "ledger.jsonl", self._lines)
        ModelStore(FolderFiles(coordinator / "models")).save(self._model(self._rounds), self._final, {})
        nodes = "\n".join(f'{market} = "{key.public.hex()}"' for market, key in self._keys.items())
        roster = f'coordinator = "{self._coordinator.public.hex()}"\n[nodes]\n{nodes}\n'
        (folder / "roster.toml").write_text(roster, encoding="utf-8")
        self._write_markets(folder)

    def _write_markets(self, folder: Path) -> None:
        event, latest = PRIVACY.event(self._mechanism), []
        charges = [
            encode_record(Charged(Charge(charge_name(number, 1), "pretraining", event)))
            for number in range(1, self._rounds + 1)
        ]
        checkpoints = [sign_checkpoint(self._log.head_at(size), self._coordinator) for size in self._shown]
        for market, key in self._keys.items():
            kept = [countersign(checkpoint, market, key) for checkpoint in checkpoints]
            (folder / market).mkdir()
            _write(folder / market / "checkpoints.jsonl", map(encode_kept, kept))
            _write(folder / market / SPENDING_FILE, charges)
            latest.append(encode_countersignature(kept[-1].statement_of(market)))
        _write(folder / "coordinator" / "countersignatures.jsonl", latest)

    def _record(self, body: Body) -> None:
        entry, self._log = append(self._log, body, self._coordinator)
        self._lines.append(encode_entry(entry))

    def _opening(self) -> RunOpened:
        return RunOpened(
            run=RUN,
            plan_hash=sha256(self._plan.encode()),
            plan_json=self._plan,
            roster={market: key.public for market, key in self._keys.items()},
            coordinator=self._coordinator.public,
            version="generated",
            initial_model_hash=self._model(0),
            num_parameters=NUM_PARAMETERS,
            privacy=PrivacyTerms(
                "distributed", "user", "add_or_remove_one", PRIVACY.clip_norm, PRIVACY.epsilon, PRIVACY.delta
            ),
        )

    def _round(self, number: int) -> Iterator[Body]:
        manifest = self._manifest(number)
        adverts = tuple(self._advert(manifest, market) for market in MARKETS)
        session = session_id(manifest.context(), adverts)
        statement = survivors_statement(session, MARKETS)
        signature = self._coordinator.sign(manifest.signed_bytes())
        yield RoundOpened(number, 1, manifest_fields(manifest), signature, MARKETS)
        yield CohortFixed(number, 1, session, tuple(map(recorded_advert, adverts)))
        yield SurvivorsFixed(number, 1, session, MARKETS, {})
        yield UnmaskingBegun(number, 1, session)
        yield RoundReleased(
            round=number,
            attempt=1,
            session=session,
            survivors=MARKETS,
            consistency_signatures=tuple(
                RecordedSignature(market, key.sign(statement)) for market, key in self._keys.items()
            ),
            total_hash=sha256(session),
            model_in=self._model(number - 1),
            model_out=self._model(number),
            optimiser_state=sha256(b"state" + session),
            validation=None,
            privacy_event=recorded_event(PRIVACY.event(self._mechanism)),
        )

    def _manifest(self, number: int) -> RoundManifest:
        return RoundManifest(
            run=RUN,
            round=number,
            attempt=1,
            plan_hash=sha256(self._plan.encode()),
            model_hash=self._model(number - 1),
            num_parameters=NUM_PARAMETERS,
            clip_norm=PRIVACY.clip_norm,
            num_summands=len(MARKETS),
            n_min=len(MARKETS),
            max_colluding=0,
            ring_bits=32,
            ledger_size=self._log.size,
            ledger_root=self._log.head.root,
            noise=noise_terms(self._mechanism),
        )

    def _advert(self, manifest: RoundManifest, market: NodeId) -> KeyAdvert:
        context = manifest.context()
        channel, mask, seed = (sha256(context + market.encode() + bytes([part])) for part in range(3))
        signature = self._keys[market].sign(advert_statement(context, market, channel, mask, seed))
        return KeyAdvert(market, channel, mask, seed, signature)

    def _model(self, number: int) -> bytes:
        return parameters_hash(self._final) if number == self._rounds else sha256(f"model {number}".encode())


def _key(name: str) -> SigningKey:
    return SigningKey(sha256(name.encode()))


def _write(path: Path, lines: Iterable[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def _plan_json(rounds: int) -> str:
    plan = {
        "run": {"name": RUN, "rounds": rounds},
        "cohort": {"n_min": len(MARKETS), "max_colluding": 0},
        "aggregation": {
            "max_loss": 20.0,
            "ring_bits": 32,
            "server": {"optimiser": "sgd", "learning_rate": 1.0, "momentum": 0.0},
        },
        "privacy": {
            "mode": "distributed",
            "privacy_unit": PRIVACY.privacy_unit,
            "neighboring_relation": PRIVACY.neighboring_relation,
            "holds_against": PRIVACY.holds_against,
            "epsilon": PRIVACY.epsilon,
            "delta": PRIVACY.delta,
            "clip_norm": PRIVACY.clip_norm,
            "noise_multiplier": PRIVACY.noise_multiplier,
            "sampling_probability": PRIVACY.sampling_probability,
            "expected_users": PRIVACY.expected_users,
        },
    }
    return json.dumps(plan, sort_keys=True, separators=(",", ":"))
