"""Vectors of the sparse mask graph: who makes masks with whom, and how many shares open a secret."""

from collections.abc import Iterator

from fecosr.ids import NodeId
from fecosr.secagg.graph import mask_graph
from fecosr.secagg.parameters import SecAggParameters
from tests.vectors.generator.seeds import seeded
from tests.vectors.messages import Json

Named = tuple[str, str, Json]


def good() -> Iterator[Named]:
    """Yield name, explanation and content of every good vector."""
    about = "A ring in the order of hashes of session and name; its sizes from tail bounds."
    yield "graph", about, {"kind": "graph", "cases": [_graph(70, 2), _graph(100, 10)]}


def bad() -> Iterator[Named]:
    """Yield name, explanation and content of every vector that must be refused."""
    case = _graph(70, 2)
    elsewhere = {**case, "session": seeded("session of another graph").hex()}
    yield "graph-of-another-session", "The ring of another session.", _of(elsewhere)
    thin = {**case, "num_neighbours": case["num_neighbours"] - 2, "neighbours": case["neighbours"][1:-1]}
    yield "graph-too-thin", "Fewer neighbours than the bounds ask for.", _of(thin)
    weak = {**case, "threshold": case["threshold"] - 1}
    yield "graph-of-lower-threshold", "One share fewer opens a secret.", _of(weak)


def _of(case: Json) -> Json:
    return {"kind": "graph", "cases": [case]}


def _graph(num_clients: int, max_colluding: int) -> Json:
    clients = [f"m{number:03}" for number in range(num_clients)]
    session = seeded(f"session of {num_clients}")
    parameters = SecAggParameters(bytes(32), 1, max_colluding + 2, max_colluding)
    graph = mask_graph(parameters, session, [NodeId(name) for name in clients])
    assert graph.degree is not None
    return {
        "session": session.hex(),
        "max_colluding": max_colluding,
        "clients": clients,
        "num_neighbours": graph.degree.num_neighbours,
        "threshold": graph.threshold,
        "window_survivors": graph.degree.window_survivors,
        "ring": list(graph.ring),
        "client": clients[0],
        "neighbours": list(graph.neighbours(NodeId(clients[0]))),
    }
