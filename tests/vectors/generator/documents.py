"""Vectors of what the coordinator signs: manifests, ledgers and checkpoints."""

from collections.abc import Iterator
from typing import Any

from fecosr.crypto.signatures import SigningKey
from fecosr.ids import NodeId, RunId
from fecosr.ledger.checkpoint import sign_checkpoint
from fecosr.ledger.countersignature import KeptHead, countersign, encode_kept
from fecosr.ledger.log import Head, Log, append, encode_entry, genesis
from fecosr.ledger.records import (
    Body,
    CoordinatorRestarted,
    RoundAborted,
    RunAborted,
    SurvivorsFixed,
    UnmaskingBegun,
)
from tests.vectors.checks import manifest_of, run_closed_of
from tests.vectors.generator.opening import opened_run
from tests.vectors.generator.seeds import seeded
from tests.vectors.messages import Json

RUN = RunId("spring")
KEY = SigningKey(seeded("identity of the coordinator"))
MARKET, MARKET_KEY = NodeId("at"), SigningKey(seeded("identity of at"))
Named = tuple[str, str, Json]


def good() -> Iterator[Named]:
    """Yield name, explanation and content of every good vector."""
    yield (
        "manifest",
        "What fixes one attempt at a round; its hash is the context.",
        {
            "kind": "manifest",
            "cases": [_manifest()],
        },
    )
    yield (
        "run-closed",
        "The end of a run: without a history, and with one in which a round measured nothing.",
        {"kind": "run-closed", "cases": [_run_closed([]), _run_closed(["", (0.125).hex()])]},
    )
    yield "ledger", "Records, signed one after the other.", {"kind": "ledger", "cases": [_ledger(_bodies())]}
    cases = [_checkpoint(_kept(later), _kept(earlier)) for later, earlier in ((2, 1), (6, 3), (6, 5), (6, 6))]
    yield (
        "checkpoint",
        "A head of the ledger that continues an earlier one, signed by coordinator and market.",
        {
            "kind": "checkpoint",
            "cases": cases,
        },
    )


def bad() -> Iterator[Named]:
    """Yield name, explanation and content of every vector that must be refused."""
    manifest = _manifest()
    retry = {**manifest, "manifest": {**manifest["manifest"], "attempt": 2}}
    yield (
        "manifest-of-another-attempt",
        "Another attempt under the same signature.",
        {
            "kind": "manifest",
            "cases": [retry],
        },
    )
    foreign = SigningKey(seeded("identity of a stranger"))
    statement = bytes.fromhex(manifest["signed_bytes"])
    yield (
        "manifest-forged",
        "A manifest signed by somebody else.",
        {
            "kind": "manifest",
            "cases": [{**manifest, "signature": foreign.sign(statement).hex()}],
        },
    )
    closed = _run_closed(["", (0.125).hex()])
    other = {**closed, "model_hash": seeded("another final model").hex()}
    yield "run-closed-with-another-model", "Another final model.", {"kind": "run-closed", "cases": [other]}
    cut = {**closed, "history": closed["history"][:-1]}
    yield "run-closed-history-cut", "A release is missing.", {"kind": "run-closed", "cases": [cut]}
    yield from _bad_ledgers()
    yield from _bad_checkpoints()


def _bad_ledgers() -> Iterator[Named]:
    case = _ledger(_bodies())
    lines = case["lines"]

    def of(rule: str, *spoiled: str) -> Json:
        return {"kind": "ledger", "rule": rule, "cases": [{**case, "lines": list(spoiled)}]}

    changed = lines[2].replace("deadline", "withdrew")
    yield (
        "ledger-record-changed",
        "A dropout has another reason than when the record was signed.",
        of("signature", *lines[:2], changed, *lines[3:]),
    )
    yield (
        "ledger-record-missing",
        "A record is missing in the middle.",
        of("sequence", *lines[:2], *lines[3:]),
    )
    yield (
        "ledger-records-swapped",
        "Two records changed places.",
        of("sequence", lines[0], lines[2], lines[1], *lines[3:]),
    )
    other = _ledger([*_bodies()[:2], RunAborted(0, "too_few_shares"), *_bodies()[3:]])["lines"]
    yield (
        "ledger-of-two-histories",
        "The end of another history of the same coordinator.",
        of("signature", *lines[:3], *other[3:]),
    )
    yield (
        "ledger-not-canonical",
        "White space that the signed bytes do not have.",
        of("canonical", lines[0].replace(":", ": ", 1), *lines[1:]),
    )


def _bad_checkpoints() -> Iterator[Named]:
    def of(rule: str, later: KeptHead, earlier: KeptHead, *bodies: Body) -> Json:
        return {"kind": "checkpoint", "rule": rule, "cases": [_checkpoint(later, earlier, *bodies)]}

    stranger = SigningKey(seeded("identity of a stranger"))
    head = _log(_bodies()).head_at(2)
    forged = countersign(sign_checkpoint(head, stranger), MARKET, MARKET_KEY)
    yield "checkpoint-forged", "A head signed by somebody else.", of("checkpoint", forged, _kept(1))
    unsigned = countersign(sign_checkpoint(head, KEY), MARKET, stranger)
    yield (
        "checkpoint-countersigned-by-another",
        "A head that somebody else signed in the name of the market.",
        of("countersignature", unsigned, _kept(1)),
    )
    yield "checkpoint-shrunk", "The ledger is shorter than before.", of("checkpoint", _kept(1), _kept(2))
    other = [*_bodies()[:2], RunAborted(0, "too_few_shares"), *_bodies()[3:]]
    for size, which in ((3, "at-one-size"), (5, "that-grew")):
        second = countersign(sign_checkpoint(_log(other).head_at(size), KEY), MARKET, MARKET_KEY)
        yield (
            f"checkpoint-of-two-histories-{which}",
            "A head of another history than the one shown before.",
            of("fork", second, _kept(3), *other),
        )
    elsewhere = sign_checkpoint(Head(RunId("autumn"), 3, seeded("head 3")), KEY)
    kept = countersign(elsewhere, MARKET, MARKET_KEY)
    yield "checkpoint-of-another-run", "A head of another run.", of("checkpoint", kept, _kept(2))


def _manifest() -> Json:
    fields: dict[str, Any] = {
        "run": RUN,
        "round": 3,
        "attempt": 1,
        "plan_hash": seeded("plan").hex(),
        "model_hash": seeded("model").hex(),
        "num_parameters": 1000,
        "clip_norm": (1.5).hex(),
        "num_summands": 5,
        "n_min": 3,
        "max_colluding": 1,
        "ring_bits": 24,
        "ledger_size": 41,
        "ledger_root": seeded("ledger root").hex(),
    }
    manifest = manifest_of(fields)
    return {
        "manifest": fields,
        "signed_bytes": manifest.signed_bytes().hex(),
        "context": manifest.context().hex(),
        "identity": KEY.public.hex(),
        "signature": KEY.sign(manifest.signed_bytes()).hex(),
    }


def _run_closed(validations: list[str]) -> Json:
    history = [
        {"model_hash": seeded(f"model {number}").hex(), "validation": measured}
        for number, measured in enumerate(validations)
    ]
    case: Json = {
        "run": RUN,
        "rounds": 2,
        "model_hash": seeded("final model").hex(),
        "history": history,
        "identity": KEY.public.hex(),
        "signature": bytes(64).hex(),
    }
    statement = run_closed_of(case).signed_bytes()
    return {**case, "signed_bytes": statement.hex(), "signature": KEY.sign(statement).hex()}


def _bodies() -> list[Body]:
    survivors = tuple(NodeId(name) for name in ("at", "be", "cz"))
    return [
        opened_run(RUN, KEY.public),
        CoordinatorRestarted(1, 1),
        SurvivorsFixed(1, 1, seeded("session"), survivors, {NodeId("de"): "deadline"}),
        UnmaskingBegun(1, 1, seeded("session")),
        RoundAborted(1, 1, "too_few_unmask_shares", "unmask: 2 of 3 clients are left", unmasked=True),
        RunAborted(0, "too_few_unmask_shares"),
    ]


def _ledger(bodies: list[Body]) -> Json:
    log, lines = genesis(RUN), []
    for body in bodies:
        entry, log = append(log, body, KEY)
        lines.append(encode_entry(entry).decode())
    return {"run": RUN, "identity": KEY.public.hex(), "lines": lines, "root": log.head.root.hex()}


def _log(bodies: list[Body]) -> Log:
    log = genesis(RUN)
    for body in bodies:
        _, log = append(log, body, KEY)
    return log


def _kept(size: int) -> KeptHead:
    return countersign(sign_checkpoint(_log(_bodies()).head_at(size), KEY), MARKET, MARKET_KEY)


def _checkpoint(later: KeptHead, earlier: KeptHead, *bodies: Body) -> Json:
    size, before = later.checkpoint.size, earlier.checkpoint.size
    log = _log(list(bodies or _bodies())[:size])
    proof = log.consistency_proof(before) if before < size else ()
    return {
        "identity": KEY.public.hex(),
        "market": MARKET,
        "market_identity": MARKET_KEY.public.hex(),
        "line": encode_kept(later).decode(),
        "earlier": encode_kept(earlier).decode(),
        "proof": [part.hex() for part in proof],
    }
