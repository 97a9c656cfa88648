"""Vectors of whole sessions: inputs, every message, and how they end."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Final

from fecosr.crypto.signatures import SigningKey
from tests.vectors.generator.misdeals import accusing, changing, misdealing
from tests.vectors.generator.seeds import seeded
from tests.vectors.messages import Json
from tests.vectors.ours import Ours

NAMES: Final = ("at", "be", "cz", "de", "es")
PHASES: Final = ("key_advert", "encrypted_shares", "masked_input", "consistency_signature", "unmask_shares")
Tamper = Callable[[Json], None]


def inputs(
    num_clients: int = 4, *, ring_bits: int = 32, salt: str = "", context: str = "context", length: int = 4
) -> Json:
    """Return what a session of so many clients starts from."""
    pinned = NAMES if num_clients <= len(NAMES) else tuple(f"m{number:02}" for number in range(num_clients))
    names = pinned[:num_clients]
    clients = {
        name: {
            "identity_seed": seeded(f"identity of {name}").hex(),
            "entropy": seeded(f"entropy of {name}{salt}").hex(),
            "vector": _elements(name, ring_bits)[:length],
        }
        for name in names
    }
    roster = {name: SigningKey(seeded(f"identity of {name}")).public.hex() for name in pinned}
    rules = {
        "context": seeded(context).hex(),
        "length": length,
        "n_min": 3,
        "max_colluding": 1,
        "ring_bits": ring_bits,
    }
    return {"parameters": rules, "roster": roster, "clients": clients}


def _elements(name: str, ring_bits: int) -> list[int]:
    octets = seeded(f"vector of {name}")
    return [int.from_bytes(octets[4 * i : 4 * i + 4], "little") % 2**ring_bits for i in range(4)]


def played(given: Json, *, leaving: Mapping[str, str] | None = None, tamper: Tamper | None = None) -> Json:
    """Return the session vector that follows from its inputs.

    Args:
        given: what it starts from.
        leaving: in which phase a client leaves instead of answering, by the name of the answer.
        tamper: changes an answer in place; what it changes is marked as forged.
    """
    ours = Ours()
    begun = {name: ours.client(given, name) for name in given["clients"]}
    clients = {name: client for name, (client, _) in begun.items()}
    says = {name: said for name, (_, said) in begun.items()}
    server = ours.server(given)
    transcript: list[Json] = []
    while server.outcome is None:
        sent: list[tuple[str, Json]] = []
        for name in sorted(says):
            if leaving and next(iter(says[name])) == leaving.get(name):
                transcript.append({"from": name, "leaves": True})
                sent += server.leave(name)
                continue
            body = deepcopy(says[name])
            if tamper:
                line = {"from": name, "body": body}
                tamper(line)
                body = line["body"]
            forged = {"forged": True} if body != says[name] else {}
            transcript.append({"from": name, "body": body, **forged})
            sent += server.receive(name, body)
        says = {}
        for name, body in sent:
            says[name] = clients[name].receive(body)
            _note(transcript, name, body)
    return {**given, "transcript": transcript, "outcome": server.outcome}


def _note(transcript: list[Json], name: str, body: Json) -> None:
    """Append what the server says; what it says to several is one line."""
    last = transcript[-1]
    if last["from"] == "server" and last["body"] == body:
        last["to"].append(name)
    else:
        transcript.append({"from": "server", "to": [name], "body": body})


def good() -> Iterator[tuple[str, str, Json]]:
    """Yield name, explanation and content of every good session vector."""
    yield "session-all-stay", "Nobody leaves.", played(inputs())
    yield "session-smallest", "The fewest clients there may be.", played(inputs(3))
    for ring_bits in (24, 16):
        about = f"Masked vectors of {ring_bits // 8} bytes an element, in the ring of 2^{ring_bits}."
        yield f"session-{ring_bits}-bits", about, played(inputs(ring_bits=ring_bits))
    for phase in PHASES:
        about = f"The last of five clients leaves instead of sending its {phase.replace('_', ' ')}."
        yield f"session-leaves-at-{phase.replace('_', '-')}", about, played(inputs(5), leaving={"es": phase})
    yield from _with_bad_shares()
    about = "Two of four leave before their vectors arrive: too few are left, and no sum is opened."
    leaving = {"cz": "masked_input", "de": "masked_input"}
    yield "session-too-few-inputs", about, played(inputs(), leaving=leaving)


def _with_bad_shares() -> Iterator[tuple[str, str, Json]]:
    about = "A holder reveals another share than it accepted; the others open the seed, and it is convicted."
    yield "session-share-corrupt-repaired", about, played(inputs(5), tamper=changing("at", "cz"))
    about = "One share of a quorum is not the one accepted and there is no other quorum: no sum."
    yield (
        "session-share-corrupt-beyond-repair",
        about,
        played(inputs(5), leaving={"es": "unmask_shares"}, tamper=changing("at", "cz")),
    )
    about = "A dealer deals one holder what does not open; the holder says so, and the others open the sum."
    garbage = misdealing("be", "at", readable=False)
    yield "session-unusable-share", about, played(inputs(5), tamper=garbage)
    about = "The same, and the dealer leaves before its vector arrives: its mask key is opened by the others."
    garbage = misdealing("be", "at", readable=False)
    yield (
        "session-unusable-share-of-a-dropout",
        about,
        played(inputs(5), leaving={"be": "masked_input"}, tamper=garbage),
    )
    about = "A dealer deals so many what does not open that its secrets would stay closed: none is asked for."
    garbage = misdealing("be", "at cz", readable=False)
    yield "session-unusable-shares-to-many", about, played(inputs(), tamper=garbage)
    about = "A holder calls good shares unusable: it holds its own back, and no more comes of it."
    yield "session-lying-accuser", about, played(inputs(5), tamper=accusing("at", "cz"))
    about = "A dealer deals one holder shares of something else: it is convicted, and not the holder."
    yield "session-misdealt-to-one", about, played(inputs(5), tamper=misdealing("be", "at", readable=True))
    about = "A dealer deals two holders shares of something else: no quorum opens its seed; it is convicted."
    yield "session-misdealt-to-few", about, played(inputs(5), tamper=misdealing("be", "at cz", readable=True))
    about = "A dealer deals everybody shares of something else: no sum, and it is convicted."
    everybody = misdealing("be", "at be cz de", readable=True)
    yield "session-misdealt-to-all", about, played(inputs(), tamper=everybody)
