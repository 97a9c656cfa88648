"""How much went over the wire, for whoever watches a process."""

from dataclasses import dataclass


@dataclass(slots=True)
class TrafficMeter:
    """Count payload on the event loop of the process it belongs to."""

    received_bytes: int = 0
    sent_bytes: int = 0
