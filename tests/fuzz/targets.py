"""What is fuzzed: each target takes any bytes; an AssertionError or undocumented error is a finding.

Hypothesis (test_targets.py) and atheris (fuzz_*.py) drive the same targets.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from fecosr.errors import FecosrError, LedgerError, ProtocolViolation
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import Growth, check_growth, verify_checkpoint
from fecosr.ledger.countersignature import KeptHead, decode_kept, encode_kept, verify_countersignature
from fecosr.ledger.log import decode_entry, encode_entry, verify_log
from fecosr.secagg.client import ClientState, Revealed, SurvivorsSigned, Withdrawn
from fecosr.secagg.messages import Phase, ServerMessage, UnmaskShares
from fecosr.secagg.packing import RING_BITS
from fecosr.secagg.rules import Rule
from fecosr.secagg.server import Aborted, Completed, DropoutReason, RunningState, ServerState
from fecosr.wire import transfers
from fecosr.wire.control import (
    decode_coordinator_message,
    decode_node_message,
    encode_coordinator_message,
    encode_node_message,
)
from tests.fuzz import honest
from tests.fuzz.choices import Choices
from tests.fuzz.fingerprint import fingerprint
from tests.fuzz.mutation import changed, changed_bytes
from tests.reference.rehearsal import NAMES, Rehearsal, fresh, plain_sum

PEER: Final = "somebody"
MAX_CHANGES: Final = 4
MAX_STEPS: Final = 12
_SECONDS_PER_STEP: Final = 4.0
_UPLOAD_HEADER: Final = transfers.UploadHeader(1, 1, 24, bytes(32), bytes(64))

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Refusal = TypeVar("_Refusal", bound=FecosrError)
Codec = tuple[Callable[[bytes, str], Any], Callable[[Any], bytes], Sequence[bytes]]
"""How something is decoded and encoded, and honest bytes of it."""
_Message = TypeVar("_Message")


def _chunk_encoder(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    return lambda chunk: encode(memoryview(chunk) if isinstance(chunk, bytes) else chunk)


def _codecs() -> tuple[Codec, ...]:
    data = memoryview(b"some data")
    uploads = [transfers.encode_upload_chunk(chunk) for chunk in (_UPLOAD_HEADER, data)]
    models = [transfers.encode_model_chunk(chunk) for chunk in (transfers.ModelHeader(24), data)]
    receipts = [transfers.encode_receipt(verdict) for verdict in transfers.UploadVerdict]
    fetches = [transfers.encode_fetch_model(bytes(32))]
    return (
        (decode_node_message, encode_node_message, honest.node_messages()),
        (decode_coordinator_message, encode_coordinator_message, honest.coordinator_messages()),
        (transfers.decode_upload_chunk, _chunk_encoder(transfers.encode_upload_chunk), uploads),
        (transfers.decode_model_chunk, _chunk_encoder(transfers.encode_model_chunk), models),
        (transfers.decode_receipt, transfers.encode_receipt, receipts),
        (transfers.decode_fetch_model, transfers.encode_fetch_model, fetches),
    )


def attempt(
    refusal: type[_Refusal],
    action: Callable[_Arguments, _Result],
    *args: _Arguments.args,
    **kwargs: _Arguments.kwargs,
) -> _Result | _Refusal:
    """Return what `action` returns, or the documented error it raises; any other error is a finding."""
    try:
        return action(*args, **kwargs)
    except refusal as error:
        return error


def wire(data: bytes) -> None:
    """Decode arbitrary or nearly honest bytes; what decodes must say the same after another round trip."""
    choices = Choices(data)
    decode, encode, samples = choices.one_of(_codecs())
    encoded = _nearly_one_of(samples, choices)
    message = attempt(ProtocolViolation, decode, encoded, PEER)
    if isinstance(message, ProtocolViolation):
        assert (message.peer, message.phase) == (PEER, "decode")
        assert message.rule
        return
    assert decode(encode(message), PEER) == message


def ledger(data: bytes) -> None:
    """Read an arbitrary or nearly honest ledger: every line that is read is the only one of its value."""
    choices = Choices(data)
    lines = list(honest.ledger_lines())
    at = choices.below(len(lines))
    lines[at] = _nearly_one_of(lines, choices)
    entries = []
    for record, line in enumerate(lines):
        entry = attempt(LedgerError, decode_entry, line, record)
        if isinstance(entry, LedgerError):
            assert entry.record == record
            return
        assert encode_entry(entry) == line
        entries.append(entry)
    head = attempt(LedgerError, verify_log, entries, honest.KEY.public)
    assert isinstance(head, LedgerError) or tuple(lines) == honest.ledger_lines()


def checkpoint(data: bytes) -> None:
    """Read an arbitrary or nearly honest head: only the honest one verifies."""
    true = honest.kept_head()
    encoded = _nearly_one_of([encode_kept(true)], Choices(data))
    read = attempt(LedgerError, decode_kept, encoded)
    if isinstance(read, LedgerError):
        return
    assert encode_kept(read) == encoded
    refused = attempt(LedgerError, _verify, read)
    assert isinstance(refused, LedgerError) == (read != true)
    attempt(LedgerError, check_growth, Growth(read.checkpoint, 0, ()), true.checkpoint)


def _verify(kept: KeptHead) -> None:
    verify_checkpoint(kept.checkpoint, honest.KEY.public)
    verify_countersignature(kept.statement_of(honest.MARKET), honest.MARKET_KEY.public)


def server(data: bytes) -> None:
    """Feed the server honest, changed, repeated and misplaced messages; a sum must be the true one."""
    choices = Choices(data)
    play = honest.session(choices.one_of(RING_BITS))
    state: ServerState = fresh(play.servers[choices.one_of(list(Phase))])
    now = 0.0
    for _ in range(MAX_STEPS):
        if isinstance(state, Completed | Aborted) or not choices.left:
            break
        now += _SECONDS_PER_STEP * choices.below(2)
        state = _server_step(play, state, choices, now)
    # With whatever is left to say said, every session ends.
    while isinstance(state, RunningState):
        state = _server_catches_up(play, state)
    if isinstance(state, Completed):
        assert state.total.tolist() == plain_sum(
            play.participants, state.survivors, play.parameters.ring_bits
        )


def client(data: bytes) -> None:
    """Feed a client honest, changed, repeated and misplaced messages; it must never say too much."""
    choices = Choices(data)
    play = honest.session()
    me = choices.one_of([name for name in NAMES[:6] if name != "es"])
    state: ClientState = play.clients[choices.one_of(list(Phase)[:4])][me]
    signed: set[tuple[NodeId, ...]] = set()
    for _ in range(MAX_STEPS):
        if isinstance(state, Revealed | Withdrawn) or not choices.left:
            break
        told = [messages[me] for messages in play.told.values() if me in messages]
        message: ServerMessage = _nearly(choices.one_of(told), choices)
        step = _received(state, state.receive, message)
        if step is None:
            continue
        for record in step.records:
            if isinstance(record, SurvivorsSigned):
                signed.add(record.survivors)
        for said in step.outbox:
            if isinstance(said, UnmaskShares):
                assert not said.seed_shares.keys() & said.mask_key_shares.keys()
        state = step.state
    assert len(signed) <= 1


def _server_step(play: Rehearsal, state: RunningState, choices: Choices, now: float) -> ServerState:
    sender = choices.one_of((*NAMES[:6], NodeId("zz-nobody")))
    match choices.below(8):
        case 0:
            return state.drop(sender, choices.one_of(list(DropoutReason)), now).state
        case 1:
            return state.expire(now).state
        case _:
            pass
    said = play.said[choices.one_of(list(Phase))]
    message = _nearly(said[choices.one_of(sorted(said))], choices)
    step = _received(state, state.receive, sender, message, now)
    return state if step is None else step.state


def _received(
    state: object, receive: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result | None:
    """Return what receiving a message leads to; None when it was refused, which must change nothing."""
    before = fingerprint(state)
    step = attempt(ProtocolViolation, receive, *args, **kwargs)
    if isinstance(step, ProtocolViolation):
        assert step.rule in set(Rule)
        assert fingerprint(state) == before
        return None
    return step


def _server_catches_up(play: Rehearsal, state: RunningState) -> ServerState:
    said = play.said[state.phase]
    for sender in sorted(state.waiting_for & said.keys()):
        step = attempt(ProtocolViolation, state.receive, sender, said[sender], 0.0)
        if isinstance(step, ProtocolViolation):
            # Others have said what does not fit: in a session gone wrong that may be.
            step = state.drop(sender, DropoutReason.VIOLATION, 0.0)
        after = step.state
        if not isinstance(after, RunningState) or after.phase is not state.phase:
            return after
        state = after
    return state.expire(state.deadline).state


def _nearly(message: _Message, choices: Choices) -> _Message:
    for _ in range(choices.below(MAX_CHANGES)):
        message = changed(message, choices, NAMES[:6])
    return message


def _nearly_one_of(samples: Sequence[bytes], choices: Choices) -> bytes:
    """Return arbitrary bytes, or an honest sample that was changed a few times."""
    if not samples or choices.below(4) == 0:
        return choices.rest()
    value = choices.one_of(samples)
    for _ in range(choices.below(MAX_CHANGES + 1)):
        value = changed_bytes(value, choices)
    return value
