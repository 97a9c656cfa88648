"""Vectors of whole sessions in a sparse graph; honest messages stand there as digests, for small files."""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from fecosr.ids import NodeId
from fecosr.secagg.graph import MaskGraph, mask_graph
from fecosr.secagg.statements import session_id
from tests.reference.transcripts import digest_of
from tests.vectors.generator.misdeals import changing, misdealing
from tests.vectors.generator.session_refusals import Told, refused
from tests.vectors.generator.sessions import inputs, played
from tests.vectors.messages import Json, advert_from_json
from tests.vectors.ours import parameters_of

Named = tuple[str, str, Json]
NUM_CLIENTS: Final = 66
FIRST: Final = "m00"
"""Whose view the refused messages are, and who lies in the others."""


def good() -> Iterator[Named]:
    """Yield name, explanation and content of every good session vector."""
    yield "session-sparse-all-stay", "Among 66 everybody makes masks with 14 only; nobody leaves.", _played()
    graph = _graph()
    leaving = {"m10": "encrypted_shares", "m30": "masked_input", "m50": "consistency_signature"}
    leaving["m60"] = "unmask_shares"
    about = "One client leaves in each phase after the adverts; the neighbours open what is missing."
    yield "session-sparse-dropouts", about, _played(leaving=leaving)
    liars = (
        misdealing(FIRST, graph.holders(NodeId(FIRST))[0], readable=True),
        misdealing("m20", " ".join(graph.holders(NodeId("m20"))[:2]), readable=False),
        changing("m40", graph.holders(NodeId("m40"))[0]),
    )

    def lie(line: Json) -> None:
        for liar in liars:
            liar(line)

    about = "One dealer's shares do not fit, another's do not open, a holder changes one: all are convicted."
    yield "session-sparse-liars", about, _played(tamper=lie)
    half = graph.neighbours(NodeId(FIRST))
    near = dict.fromkeys(half[: len(half) - graph.threshold + 1], "encrypted_shares")
    about = "So many neighbours of one client leave that too few could open its secrets: soon none are left."
    yield "session-sparse-isolated", about, _played(leaving=near)
    about = "Clients that stand in a row leave a gap in the ring: masks might not tie the rest together."
    yield "session-sparse-gap", about, _played(leaving=dict.fromkeys(_row(graph), "masked_input"))


def bad() -> Iterator[Named]:
    """Yield name, explanation and content of every session vector that must be refused."""
    told, graph = Told(inputs(NUM_CLIENTS, length=2)), _graph()
    view = told.client_view("survivor_list", FIRST)
    row = [name for name in _row(graph, NodeId(FIRST)) if name != FIRST]
    view[-1]["body"] = {"survivor_list": sorted(graph.places.keys() - set(row))}
    yield (
        "session-sparse-survivors-apart",
        "The survivors leave a gap in the ring.",
        refused(FIRST, told, view),
    )
    view = told.client_view("share_delivery", FIRST)
    stranger = next(name for name in graph.places if name not in {FIRST, *graph.neighbours(NodeId(FIRST))})
    delivery = view[-1]["body"]["share_delivery"]
    delivery[stranger] = next(iter(delivery.values()))
    about = "Shares come from a client that is no neighbour."
    yield "session-sparse-source-unknown", about, refused(FIRST, told, view)
    view = told.client_view("share_delivery", FIRST)
    few = dict(list(view[-1]["body"]["share_delivery"].items())[: graph.threshold - 1])
    view[-1]["body"] = {"share_delivery": few}
    about = "Fewer neighbours are left than could open the receiver's secrets."
    yield "session-sparse-too-few-shares", about, refused(FIRST, told, view)
    view = told.server_view("encrypted_shares", FIRST)
    dealt = view[-1]["body"]["encrypted_shares"]["dealt"]
    dealt[stranger] = dealt.pop(next(iter(dealt)))
    about = "A dealer deals to somebody who is no neighbour, instead of to one who is."
    yield "session-sparse-destination-wrong", about, refused("server", told, view)


def _played(**options: Any) -> Json:
    vector = played(inputs(NUM_CLIENTS, length=2), **options)
    return {**vector, "transcript": [_shortened(line) for line in vector["transcript"]]}


def _shortened(line: Json) -> Json:
    if "body" not in line or line.get("forged"):
        return line
    return {name: part for name, part in line.items() if name != "body"} | {"digest": digest_of(line["body"])}


@cache
def _graph() -> MaskGraph:
    """Return the graph that the sessions have as long as everybody advertises and no advert is forged."""
    given = inputs(NUM_CLIENTS, length=2)
    adverts = Told(given).client_view("advert_list", FIRST)[-1]["body"]["advert_list"]
    parameters = parameters_of(given)
    session = session_id(parameters.context, [advert_from_json(advert) for advert in adverts])
    return mask_graph(parameters, session, [NodeId(name) for name in given["clients"]])


def _row(graph: MaskGraph, beside: NodeId | None = None) -> list[NodeId]:
    """Return as many in a row on the ring as leave a gap, right behind `beside` if that is given."""
    assert graph.degree is not None
    start = 0 if beside is None else graph.places[beside] + 1
    num_missing = graph.degree.num_neighbours // 2 - graph.degree.window_survivors + 1
    return [graph.ring[(start + step) % len(graph.ring)] for step in range(num_missing)]
