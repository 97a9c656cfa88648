"""Attacks that take more than one message: what a coordinator would gain if everybody played along."""

from dataclasses import replace

import numpy as np

from fecosr.crypto.prg import add_keystreams
from fecosr.ids import NodeId
from fecosr.secagg.masking import self_mask_seed
from fecosr.secagg.messages import MaskedInput, Phase
from fecosr.secagg.secrets import derive_secrets
from tests.reference.rehearsal import Rehearsal, make_participants, plain_sum, rehearse

FIRST_MODEL, SECOND_MODEL = b"\x01" * 32, b"\x02" * 32


def bared(play: Rehearsal, client: NodeId) -> np.ndarray:
    """Return what a client handed in without its self mask, as if its seed had been opened."""
    said = play.said[Phase.MASKED_INPUT][client]
    assert isinstance(said, MaskedInput)
    someone = next(it for it in play.participants if it.client == client)
    secrets = derive_secrets(someone.entropy, play.parameters.context, client)
    vector = said.vector.copy()
    add_keystreams(vector, [(self_mask_seed(secrets.seed, play.session), -1)])
    return vector


def total(vectors: list[np.ndarray]) -> list[int]:
    added = np.zeros_like(vectors[0])
    for vector in vectors:
        added += vector
    return [int(element) for element in added]


def test_masks_of_clients_that_were_shown_different_models_do_not_cancel() -> None:
    people = make_participants(3)
    everybody = [it.client for it in people]
    plays = [rehearse(participants=people, context=context) for context in (FIRST_MODEL, SECOND_MODEL)]
    for play in plays:
        assert total([bared(play, client) for client in everybody]) == plain_sum(people, everybody)
    lone, *others = everybody
    mixed = total([bared(plays[1], lone), *(bared(plays[0], client) for client in others)])
    honest = plain_sum(people, everybody)
    assert all(ours != right for ours, right in zip(mixed, honest, strict=True))


def test_a_sparse_update_is_masked_in_every_coordinate_and_as_long_as_any() -> None:
    people = make_participants(3, length=64)
    sparse = people[0].vector * 0
    sparse[7] = 5
    lone = replace(people[0], vector=sparse)
    said = [
        rehearse(participants=crowd).said[Phase.MASKED_INPUT][lone.client]
        for crowd in ([lone, *people[1:]], people)
    ]
    one, other = said
    assert isinstance(one, MaskedInput)
    assert isinstance(other, MaskedInput)
    assert one.vector.nbytes == other.vector.nbytes
    # Where nothing was learned there is something all the same, and nothing there says so.
    assert all(masked != plain for masked, plain in zip(one.vector.tolist(), sparse.tolist(), strict=True))
    assert len(set(one.vector.tolist())) == 64


def test_no_part_of_the_cohort_can_be_summed_apart() -> None:
    people = make_participants(4)
    everybody = [it.client for it in people]
    play = rehearse(participants=people)
    for size in range(1, len(everybody)):
        part = everybody[:size]
        opened = total([bared(play, client) for client in part])
        expected = plain_sum(people, part)
        assert all(ours != right for ours, right in zip(opened, expected, strict=True))
