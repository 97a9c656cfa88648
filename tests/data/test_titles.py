from fecosr.data.settings import SyntheticSettings
from fecosr.data.synthetic import ground_truth
from fecosr.data.titles import market_titles

SETTINGS = SyntheticSettings(seed=1, num_users=10, num_items=120, num_categories=10, mean_length=6)


def titles(market: str) -> tuple[tuple[str, ...], list[int]]:
    truth = ground_truth(market, SETTINGS)
    found = market_titles(market, SETTINGS, truth.item_ids, truth.category, truth.topic)
    return found, truth.category.tolist()


def trigrams(title: str) -> set[str]:
    return {title[place : place + 3] for place in range(len(title) - 2)}


def likeness(first: str, second: str) -> float:
    one, other = trigrams(first), trigrams(second)
    return len(one & other) / len(one | other)


def test_every_item_has_a_title_of_six_words() -> None:
    found, _ = titles("north")
    assert len(found) == 120
    assert {len(title.split()) for title in found} == {6}


def test_markets_share_parts_of_words_but_hardly_words() -> None:
    north, south = titles("north")[0], titles("isle")[0]
    words = [{word for title in market for word in title.split()} for market in (north, south)]
    assert len(words[0] & words[1]) < 0.1 * len(words[0])


def test_titles_of_one_category_look_alike_across_markets() -> None:
    (north, north_category), (south, south_category) = titles("north"), titles("isle")
    same: list[float] = []
    different: list[float] = []
    for title, category in zip(north, north_category, strict=True):
        for other, other_category in zip(south, south_category, strict=True):
            (same if category == other_category else different).append(likeness(title, other))
    assert sum(same) / len(same) > 3 * sum(different) / len(different)
