import pytest

from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.secagg.graph import MaskGraph, mask_graph
from fecosr.secagg.parameters import SecAggParameters
from tests.reference.rehearsal import names_of

SESSION = b"\x71" * 32


def graph_of(num_clients: int, max_colluding: int = 3, session: bytes = SESSION) -> MaskGraph:
    parameters = SecAggParameters(bytes(32), 4, max_colluding + 2, max_colluding)
    return mask_graph(parameters, session, sorted(names_of(num_clients)))


def connected(graph: MaskGraph, clients: frozenset[NodeId]) -> bool:
    """Return whether masks tie all of `clients` together, found by walking from one to the next."""
    reached, waiting = set[NodeId](), [min(clients)]
    while waiting:
        client = waiting.pop()
        if client not in reached:
            reached.add(client)
            waiting += clients.intersection(graph.neighbours(client))
    return reached == clients


def test_up_to_64_everybody_is_a_neighbour_but_oneself() -> None:
    graph = graph_of(64)
    clients = names_of(64)
    assert graph.degree is None
    assert all(graph.neighbours(client) == tuple(c for c in clients if c != client) for client in clients)
    assert graph.holders(clients[5]) == tuple(clients)
    assert graph.threshold == (64 + 3) // 2 + 1
    assert not graph.has_gap(clients[:40])


@pytest.mark.parametrize("num_clients", [65, 100, 257])
def test_above_everybody_has_as_many_neighbours_and_neighbourhood_is_mutual(num_clients: int) -> None:
    graph, clients = graph_of(num_clients), names_of(num_clients)
    assert graph.degree is not None
    assert graph.threshold == graph.degree.threshold
    for client in clients:
        neighbours = graph.neighbours(client)
        assert len(set(neighbours)) == len(neighbours) == graph.degree.num_neighbours < num_clients - 1
        assert client not in neighbours
        assert list(neighbours) == sorted(neighbours) == list(graph.holders(client))
        assert list(graph.positions(client).items()) == [(peer, i + 1) for i, peer in enumerate(neighbours)]
        assert all(client in graph.neighbours(peer) for peer in neighbours)


def test_the_session_draws_the_graph() -> None:
    client = names_of(100)[0]
    assert graph_of(100) == graph_of(100)
    assert graph_of(100).neighbours(client) != graph_of(100, session=bytes(32)).neighbours(client)


def test_where_too_many_may_collude_the_graph_is_complete() -> None:
    graph = graph_of(80, max_colluding=70)
    assert graph.degree is None
    assert len(graph.neighbours(names_of(80)[0])) == 79


def test_a_gap_is_found_wherever_it_is() -> None:
    graph = graph_of(100, max_colluding=10)
    assert graph.degree is not None
    window, least = graph.degree.num_neighbours // 2, graph.degree.window_survivors
    for start in (0, 50, 95):
        row = [graph.ring[(start + step) % 100] for step in range(window)]
        assert not graph.has_gap(frozenset(graph.ring).difference(row[least:]))
        assert graph.has_gap(frozenset(graph.ring).difference(row[least - 1 :]))


def test_without_a_gap_no_ten_colluders_can_part_the_honest_survivors() -> None:
    graph = graph_of(100, max_colluding=10)
    assert graph.degree is not None
    window, least = graph.degree.num_neighbours // 2, graph.degree.window_survivors
    # The worst there is: as many drop out as may, and everybody left in one window and next to it colludes.
    dropped = frozenset(graph.ring[least:window] + graph.ring[50 + least : 50 + window])
    survivors = frozenset(graph.ring) - dropped
    assert not graph.has_gap(survivors)
    colluding = frozenset(graph.ring[:least] + graph.ring[50 : 50 + 10 - least])
    assert connected(graph, survivors - colluding)
    # With two more it would come apart, which is why so many must be left.
    assert not connected(graph, survivors - colluding - frozenset(graph.ring[50 : 50 + least]))


def test_a_stranger_has_no_neighbours() -> None:
    for num_clients in (9, 70):
        with pytest.raises(MisuseError):
            graph_of(num_clients).neighbours(NodeId("stranger"))


def test_nobody_is_isolated_where_everybody_is_a_neighbour() -> None:
    assert not graph_of(10).isolated([])
