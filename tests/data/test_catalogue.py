import pytest

from fecosr.data.catalogue import Catalogue
from fecosr.errors import MisuseError


def test_items_are_indexed_in_ascending_order_whatever_order_they_came_in() -> None:
    catalogue = Catalogue.of({"b", "a", "c"}, {"a": "Ant", "c": "Cat"})
    assert catalogue.item_ids == ("a", "b", "c")
    assert catalogue.titles == ("Ant", "", "Cat")
    assert [catalogue.index(item) for item in "abc"] == [0, 1, 2]
    assert len(catalogue) == 3


@pytest.mark.parametrize("unknown", ["", "aa", "d"])
def test_an_unknown_item_has_no_index(unknown: str) -> None:
    with pytest.raises(MisuseError, match="no item"):
        Catalogue.of({"a", "b", "c"}).index(unknown)


@pytest.mark.parametrize("items", [("b", "a"), ("a", "a")])
def test_only_strictly_ascending_items_make_a_catalogue(items: tuple[str, ...]) -> None:
    with pytest.raises(MisuseError, match="strictly ascending"):
        Catalogue(items)


def test_titles_must_match_the_items() -> None:
    with pytest.raises(MisuseError, match="1 titles for 2 items"):
        Catalogue(("a", "b"), ("Ant",))
