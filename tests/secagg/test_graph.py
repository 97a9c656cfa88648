import pytest

from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.graph import neighbours


def test_everybody_is_a_neighbour_but_oneself() -> None:
    clients = [NodeId(name) for name in ("c", "a", "b")]
    assert neighbours(NodeId("b"), clients) == ("a", "c")


def test_neighbourhood_is_mutual() -> None:
    clients = [NodeId(f"m{i}") for i in range(7)]
    for one in clients:
        assert all(one in neighbours(other, clients) for other in neighbours(one, clients))


def test_what_the_graph_is_not_made_for_is_refused() -> None:
    many = [NodeId(f"m{i}") for i in range(65)]
    assert len(neighbours(many[0], many[:64])) == 63
    with pytest.raises(MisuseError):
        neighbours(many[0], many)
    with pytest.raises(MisuseError):
        neighbours(NodeId("x"), many[:3])
