from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from fecosr.data.sequences import MarketSequences, load_market, split_leave_one_out
from fecosr.data.settings import DEMO_MARKETS, DataSettings, SyntheticSettings, demo_markets
from fecosr.data.synthetic import GroundTruth, behaviour_process, generate_market, ground_truth

SMALL = SyntheticSettings(seed=3, num_users=60, num_items=80, num_categories=8, num_topics=3, mean_length=7)


def in_truth_order(market: MarketSequences, truth: GroundTruth) -> npt.NDArray[np.int64]:
    """Return the ground truth's index of each catalogue item."""
    place = {item: index for index, item in enumerate(truth.item_ids)}
    return np.array([place[item] for item in market.catalogue.item_ids])


def test_the_same_seed_and_name_give_the_same_market_and_others_give_another() -> None:
    first = generate_market("north", SMALL)
    assert first.equals(generate_market("north", SMALL))
    assert not first.equals(generate_market("north", replace(SMALL, seed=4)))
    assert first["item"].to_list() != generate_market("south", SMALL)["item"].to_list()


def test_all_markets_share_one_process_whatever_their_size() -> None:
    small, large = behaviour_process(SMALL), behaviour_process(replace(SMALL, num_users=9, num_items=200))
    np.testing.assert_array_equal(small.transitions, large.transitions)
    np.testing.assert_array_equal(small.next_topic, large.next_topic)
    np.testing.assert_allclose(small.transitions.sum(axis=0), 1)
    np.testing.assert_allclose(small.transitions.sum(axis=1), 1)


def test_catalogues_are_disjoint_unless_a_share_is_sold_everywhere() -> None:
    items = [set(ground_truth(market, SMALL).item_ids) for market in ("north", "south")]
    assert not items[0] & items[1]
    overlapping = replace(SMALL, shared_item_share=0.25)
    north, south = ground_truth("north", overlapping), ground_truth("south", overlapping)
    assert len(set(north.item_ids) & set(south.item_ids)) == 20
    assert len(north.item_ids) == 80
    np.testing.assert_array_equal(north.category[:20], south.category[:20])
    np.testing.assert_array_equal(north.topic[:20], south.topic[:20])


def test_an_item_that_is_sold_everywhere_is_the_same_in_markets_of_any_size() -> None:
    overlapping = replace(SMALL, shared_item_share=0.5)
    north, isle = (
        ground_truth("north", replace(overlapping, num_items=400)),
        ground_truth("isle", overlapping),
    )
    np.testing.assert_array_equal(north.category[:40], isle.category[:40])
    np.testing.assert_array_equal(north.topic[:40], isle.topic[:40])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_every_category_is_sold_in_every_market(share: float) -> None:
    settings = replace(SMALL, num_items=28, num_categories=14, mean_length=5, shared_item_share=share)
    assert set(ground_truth("isle", settings).category.tolist()) == set(range(14))


def test_markets_have_favourites_of_their_own() -> None:
    north, south = (ground_truth(market, SMALL).popularity for market in ("north", "south"))
    assert abs(np.corrcoef(north, south)[0, 1]) < 0.4
    sales = generate_market("north", replace(SMALL, num_users=2000)).group_by("item").len()
    truth = ground_truth("north", SMALL)
    sold = np.array([dict(sales.iter_rows()).get(item, 0) for item in truth.item_ids])
    assert np.corrcoef(sold, truth.popularity)[0, 1] > 0.8


def test_users_follow_the_shared_transitions_and_meet_no_item_twice() -> None:
    settings = DataSettings(
        kind="synthetic", market="north", min_core=1, synthetic=replace(SMALL, num_users=3000)
    )
    market, truth = load_market(settings), ground_truth("north", settings.synthetic)
    category = truth.category[in_truth_order(market, truth)]
    counts = np.zeros((8, 8))
    for sequence in market.sequences:
        assert len(set(sequence.tolist())) == len(sequence) >= 5
        np.add.at(counts, (category[sequence[:-1]], category[sequence[1:]]), 1)
    frequencies = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(frequencies, truth.process.transitions, atol=0.03)


def test_the_chances_of_the_next_item_sum_to_one() -> None:
    truth = ground_truth("north", SMALL)
    for item in range(0, 80, 7):
        chances = truth.next_item_weights(item)
        assert chances.sum() == pytest.approx(1)
        by_category = np.bincount(truth.category, chances)
        np.testing.assert_allclose(by_category, truth.process.transitions[truth.category[item]])


def test_mean_length_and_size_are_as_asked() -> None:
    frame = generate_market("north", replace(SMALL, num_users=2000))
    assert frame["user"].n_unique() == 2000
    assert frame.height / 2000 == pytest.approx(7, abs=0.15)
    assert frame.group_by("user").len()["len"].min() == 5


def hit_rates(name: str, settings: DataSettings) -> tuple[float, float, float]:
    """Return HR@10 of popularity, of knowing the categories' transitions, and of knowing everything.

    Full ranking over the catalogue, history left out, ties against us.
    """
    market, truth = load_market(settings), ground_truth(name, settings.synthetic)
    split, place = split_leave_one_out(market), in_truth_order(market, truth)
    sold = np.bincount(np.concatenate(split.train), minlength=market.num_items) + 0.5  # [V]
    category = truth.category[place]  # [V]
    in_category = sold / np.bincount(category, sold)[category]  # [V]
    hits = np.zeros(3)
    for history, target in zip(split.test_histories, split.test_target, strict=True):
        transitions = truth.process.transitions[category[history[-1]]][category]  # [V]
        known = truth.next_item_weights(int(place[history[-1]]))[place]  # [V]
        for oracle, scores in enumerate((sold, transitions * in_category, known)):
            unseen = scores.copy()
            unseen[history] = -1
            hits[oracle] += np.count_nonzero(unseen >= unseen[target]) <= 10
    popularity, categories, everything = hits / market.num_users
    return float(popularity), float(categories), float(everything)


@pytest.mark.parametrize("name", DEMO_MARKETS)
def test_in_the_demo_markets_knowing_the_process_clearly_beats_popularity(name: str) -> None:
    popularity, categories, everything = hit_rates(name, dict(demo_markets())[name])
    assert 0.02 < popularity < 0.09
    assert 0.18 < categories < 0.42
    assert categories > 3 * popularity
    assert categories < everything < 0.55
