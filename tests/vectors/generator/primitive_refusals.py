"""Vectors of what sessions are made of, each spoiled in one place."""

from collections.abc import Iterator

from fecosr.crypto.shamir import PRIME
from tests.vectors.generator.primitives import (
    AT,
    Named,
    advert_of,
    agreement,
    combined,
    encodings,
    labels,
    of,
    sealed_pair,
    session_of_three,
    signed_input,
    summed,
    survivors_signed,
    validated_sum,
)
from tests.vectors.generator.seeds import seeded


def _flipped(text: str) -> str:
    """Return hexadecimal text with the lowest bit of its first byte turned."""
    return f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"


def bad() -> Iterator[Named]:
    """Yield name, explanation and content of every vector that must be refused."""
    label = labels()[1]
    moved = {**label, "parts": [label["parts"][0] + label["parts"][1], *label["parts"][2:]]}
    yield "label-parts-joined", "Two parts joined to one are another byte string.", of("labels", moved)
    low = {**agreement(), "peer_public": bytes(32).hex(), "shared": bytes(32).hex()}
    yield "key-of-low-order", "A key with which everybody knows the secret.", of("key-agreement", low)
    yield from _bad_sealing()
    yield from _bad_sharing()
    yield from _bad_signatures()
    yield from _bad_encodings()


def _bad_sealing() -> Iterator[Named]:
    case = sealed_pair()
    changed = {**case, "ciphertext": _flipped(case["ciphertext"])}
    yield "sealed-share-changed", "A changed ciphertext.", of("sealing", changed)
    other = {**case, "session": seeded("another session").hex()}
    yield "sealed-share-of-another-session", "A ciphertext of another session.", of("sealing", other)
    back = {**case, "source": case["destination"], "destination": case["source"]}
    yield "sealed-share-turned-round", "A ciphertext sent back to who made it.", of("sealing", back)


def _bad_sharing() -> Iterator[Named]:
    case = combined()[0]
    first, *others = case["shares"]
    few = {name: case["shares"][name] for name in others[: case["threshold"] - 1]}
    yield "shares-too-few", "Fewer shares than the threshold.", of("combining", {**case, "shares": few})
    wrong = ((int(case["shares"][first], 16) + 1) % PRIME).to_bytes(33, "big").hex()
    corrupt = {**case, "shares": {**case["shares"], first: wrong}}
    yield (
        "share-corrupt",
        "A wrong share opens another secret than the one committed to.",
        of("combining", corrupt),
    )
    beyond = {**case, "shares": {**case["shares"], first: PRIME.to_bytes(33, "big").hex()}}
    yield "share-beyond-the-field", "A share that is no element of the field.", of("combining", beyond)
    swapped = dict(
        zip(case["shares"], [*list(case["shares"].values())[1:], case["shares"][first]], strict=True)
    )
    yield (
        "shares-misplaced",
        "True shares at each other's positions.",
        of("combining", {**case, "shares": swapped}),
    )


def _bad_signatures() -> Iterator[Named]:
    advert = advert_of(AT)
    forged = {
        **advert,
        "advert": {**advert["advert"], "mask_public": _flipped(advert["advert"]["mask_public"])},
    }
    yield "advert-forged", "Another mask key under a signature.", of("advert", forged)
    elsewhere = {**advert, "context": seeded("another context").hex()}
    yield "context-changed", "An advert made for another context.", of("advert", elsewhere)
    renamed = {**advert, "advert": {**advert["advert"], "client": "be"}}
    yield "advert-renamed", "An advert under another client's name.", of("advert", renamed)
    missing = session_of_three()
    missing["adverts"] = missing["adverts"][1:]
    yield "session-of-fewer", "One advert fewer is another session.", of("session-id", missing)
    handed_in = signed_input()
    handed_in["vector"] = _flipped(handed_in["vector"])
    yield "input-changed", "Another vector than the one that was signed.", of("input-signature", handed_in)
    survivors = survivors_signed()
    survivors["survivors"] = survivors["survivors"][1:]
    yield (
        "survivors-of-another-list",
        "A signature of another list of survivors.",
        of("survivors-signature", survivors),
    )


def _bad_encodings() -> Iterator[Named]:
    case = encodings()[0]
    long = {**case, "update": [(float.fromhex(value) * 2).hex() for value in case["update"]]}
    yield "encoding-not-clipped", "An update longer than the clip norm.", of("encoding", long)
    crowded = {**case, "num_summands": 2**31}
    yield "encoding-overflow", "So many summands that their sum could overflow.", of("encoding", crowded)
    total = summed()
    yield (
        "sum-of-another-count",
        "The count is not the number of survivors: masks are left.",
        of("sum", {**total, "survivors": total["survivors"] - 1}),
    )
    heavy = [*total["total"]]
    heavy[total["num_parameters"]] = 2**31
    yield (
        "sum-of-impossible-weight",
        "A weight that the survivors cannot have.",
        of("sum", {**total, "total": heavy}),
    )
    measured = validated_sum()
    better = [*measured["total"]]
    better[-2] += 2**29
    yield (
        "sum-of-impossible-validation",
        "A validation metric above 1.",
        of("sum", {**measured, "total": better}),
    )
