import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.data.sequences import NO_TARGET, MarketSequences, build_market, k_core, split_leave_one_out
from fecosr.errors import DataError

Events = list[tuple[str, str, int]]


def table(events: Events) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user": pl.Series([user for user, _, _ in events], dtype=pl.String),
            "item": pl.Series([item for _, item, _ in events], dtype=pl.String),
            "timestamp": pl.Series([time for _, _, time in events], dtype=pl.Int64),
            "row": pl.Series(range(len(events)), dtype=pl.Int64),
        }
    )


def as_lists(market: MarketSequences) -> dict[str, list[str]]:
    ids = market.catalogue.item_ids
    return {
        user: [ids[item] for item in sequence]
        for user, sequence in zip(market.user_ids, market.sequences, strict=True)
    }


def test_sequences_are_chronological_and_ties_keep_file_order() -> None:
    market = build_market(
        table([("u2", "c", 5), ("u1", "z", 9), ("u1", "b", 3), ("u1", "a", 3), ("u2", "a", 4)]), "de", 1
    )
    assert as_lists(market) == {"u1": ["b", "a", "z"], "u2": ["a", "c"]}
    assert market.catalogue.item_ids == ("a", "b", "c", "z")
    assert (market.market, market.num_users, market.num_items, market.num_interactions) == ("de", 2, 4, 5)
    assert all(sequence.dtype == np.int32 for sequence in market.sequences)


def test_the_order_of_users_in_the_file_does_not_matter() -> None:
    events = [("u1", "a", 1), ("u2", "b", 1), ("u1", "b", 2), ("u2", "a", 3)]
    assert as_lists(build_market(table(events), "de", 1)) == as_lists(
        build_market(table(events[1::2] + events[0::2]), "de", 1)
    )


def test_the_core_filter_goes_on_until_nothing_falls_below() -> None:
    # Dropping the rare item x leaves u3 with one interaction; dropping u3 leaves b with one; and so on.
    events = [("u1", "a", 1), ("u1", "b", 2), ("u2", "a", 1), ("u2", "a", 2), ("u3", "b", 1), ("u3", "x", 2)]
    assert k_core(table(events), 2).select("user", "item").rows() == [("u2", "a"), ("u2", "a")]


@given(
    st.lists(st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef"), st.just(0)), max_size=40),
    st.integers(1, 4),
)
def test_the_core_is_the_largest_part_where_all_have_enough(events: Events, k: int) -> None:
    core = set(k_core(table(events), k)["row"].to_list())
    rest = list(range(len(events)))
    while True:
        users, items = [events[row][0] for row in rest], [events[row][1] for row in rest]
        drop = [row for row in rest if users.count(events[row][0]) < k or items.count(events[row][1]) < k]
        if not drop:
            break
        rest.remove(drop[0])
    assert core == set(rest)


def test_a_market_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(DataError, match="the 5-core filter leaves none of the 2 interactions of market jp"):
        build_market(table([("u", "a", 1), ("u", "b", 2)]), "jp", 5)


def test_an_item_is_called_what_it_is_called_most_often() -> None:
    titles = ["red lamp", "lamp", "lamp", "b", "a", None]
    frame = table([("u", "i", 1)] * 3 + [("u", "j", 1)] * 2 + [("u", "k", 1)])
    market = build_market(frame.with_columns(pl.Series("title", titles)), "de", 1)
    assert market.catalogue.titles == ("lamp", "a", "")
    assert build_market(frame, "de", 1).catalogue.titles is None


def test_leave_one_out_takes_the_last_item_for_testing_and_the_one_before_for_validation() -> None:
    events = [("long", item, time) for time, item in enumerate("abcd")]
    events += [("short", "a", 1), ("short", "b", 2), ("three", "a", 1), ("three", "b", 2), ("three", "d", 3)]
    split = split_leave_one_out(build_market(table(events), "de", 1))
    assert [items.tolist() for items in split.train] == [[0, 1], [0, 1], [0]]
    assert split.validation_target.tolist() == [2, NO_TARGET, 1]
    assert split.test_target.tolist() == [3, NO_TARGET, 3]
    assert split.evaluated_users.tolist() == [0, 2]
    assert [items.tolist() for items in split.test_histories] == [[0, 1, 2], [0, 1], [0, 1]]
    assert {items.dtype for items in split.test_histories} == {np.dtype(np.int32)}
