"""Names of the things the protocol talks about.

A **node** is one market's process. Inside one secure aggregation the same node plays the role of a *client*.
"""

import re
from typing import Final, NewType

NodeId = NewType("NodeId", str)
RunId = NewType("RunId", str)

COORDINATOR: Final = NodeId("coordinator")
"""The one name no market may take."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


def node_id(text: str) -> NodeId:
    """Return `text` as a node id.

    Raises:
        ValueError: `text` is not 1-32 characters of a-z, 0-9 and inner hyphens, or is reserved.
    """
    if not _NAME.fullmatch(text) or text == COORDINATOR:
        raise ValueError(f"{text!r} is not a market name: use 1-32 of a-z, 0-9, '-', not 'coordinator'")
    return NodeId(text)


def run_id(text: str) -> RunId:
    """Return `text` as a run id.

    Raises:
        ValueError: `text` is not 1-32 characters of a-z, 0-9 and inner hyphens.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is not a run name: use 1-32 of a-z, 0-9, '-'")
    return RunId(text)
