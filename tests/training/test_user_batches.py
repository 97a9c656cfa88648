import numpy as np
import pytest

from fecosr.errors import MisuseError
from fecosr.recommender.soft_targets import SoftTargets, hard_targets, smoothed
from fecosr.training.user_batches import UserBatch, user_batches


def _items(*items: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(items, np.int32)


def _read_back(batch: UserBatch, user: int) -> tuple[list[int], list[int]]:
    """Return inputs and targets of a user as items."""
    positions = int((batch.real[user] > 0).sum())
    rows = batch.rows[user]
    return (
        rows[batch.inputs[user, :positions]].tolist(),
        rows[batch.targets[user, :positions, 0]].tolist(),
    )


def test_a_repeated_item_is_one_row() -> None:
    (batch,) = user_batches([_items(5, 3, 5, 5)], hard_targets(9), max_length=8, users_at_a_time=4)
    assert batch.num_users == 1
    assert batch.num_rows.tolist() == [2, 0, 0, 0]
    assert batch.rows[0, :2].tolist() == [3, 5]
    assert _read_back(batch, 0) == ([5, 3, 5], [3, 5, 5])


def test_the_loss_of_a_user_is_a_mean_over_their_own_positions() -> None:
    batches = user_batches(
        [_items(1, 2, 3), _items(1, 2, 3, 4)], hard_targets(9), max_length=8, users_at_a_time=4
    )
    (batch,) = batches
    assert batch.real.sum(dim=1).tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert batch.real[0].tolist() == [0.5, 0.5, *[0.0] * 6]


def test_only_the_latest_items_of_a_long_history_count() -> None:
    (batch,) = user_batches([np.arange(9, dtype=np.int32)], hard_targets(9), max_length=3, users_at_a_time=4)
    assert _read_back(batch, 0) == ([5, 6, 7], [6, 7, 8])
    assert batch.inputs.shape[1] == 3


def test_neighbours_of_targets_are_rows_with_their_shares() -> None:
    neighbours = hard_targets(6).items
    assert neighbours is not None
    soft = SoftTargets(hard_targets(6).shares.repeat(1, 2) / 2, neighbours.repeat(1, 2).roll(1, 0))
    (batch,) = user_batches([_items(2, 4)], soft, max_length=8, users_at_a_time=4)
    assert batch.rows[0, : batch.num_rows[0]].tolist() == [2, 3]
    assert batch.shares[0, 0].tolist() == [0.5, 0.5]


def test_how_far_a_user_is_padded_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(40, size=int(size)).astype(np.int32) for size in rng.integers(2, 30, 60)]

    def shapes(some: list[np.ndarray[tuple[int], np.dtype[np.int32]]]) -> dict[bytes, tuple[int, int]]:
        return {
            batch.rows[user].numpy().tobytes() + batch.inputs[user].numpy().tobytes(): (
                batch.rows.shape[1],
                batch.inputs.shape[1],
            )
            for batch in user_batches(some, hard_targets(40), max_length=20, users_at_a_time=7)
            for user in range(batch.num_users)
        }

    together = shapes(sequences)
    assert len(together) == 60
    for sequence in sequences[::7]:
        assert shapes([sequence]).items() <= together.items()


def test_users_are_found_again_where_they_came_from() -> None:
    sequences = [_items(1), _items(2, 3), _items(*range(9)), _items(4, 5), _items(6, 7)]
    batches = list(user_batches(sequences, hard_targets(9), max_length=8, users_at_a_time=2))
    assert sorted(place for batch in batches for place in batch.places.tolist()) == [1, 2, 3, 4]
    for batch in batches:
        for user, place in enumerate(batch.places.tolist()):
            assert _read_back(batch, user)[0] == sequences[place][:-1].tolist()


def test_batches_of_long_histories_are_filled_up_to_half_the_size() -> None:
    short, long = np.zeros(17, np.int32), np.zeros(18, np.int32)
    sizes = {
        batch.inputs.shape[1]: batch.inputs.shape[0]
        for batch in user_batches([short, long], hard_targets(1), max_length=20, users_at_a_time=7)
    }
    assert sizes == {16: 7, 20: 4}


def test_users_without_a_target_contribute_nothing() -> None:
    assert not list(user_batches([_items(1), _items()], hard_targets(9), max_length=8, users_at_a_time=4))


def test_refuses_targets_that_are_spread_over_everything() -> None:
    for soft in (SoftTargets(hard_targets(3).shares.repeat(1, 3)), smoothed(hard_targets(3), 0.1)):
        with pytest.raises(MisuseError, match="neighbours"):
            list(user_batches([_items(1, 2)], soft, max_length=8, users_at_a_time=4))
