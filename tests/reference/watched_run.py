"""A run in memory whose coordinator is looked at from outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fecosr.federation.contribution import NodeSetup
from fecosr.federation.coordinator import CoordinatorTransition, open_run
from fecosr.federation.effects import Observed
from fecosr.federation.handover import Stopped
from fecosr.federation.run import FederationRun
from fecosr.ledger.log import Entry
from fecosr.observability.entries import after_entry
from fecosr.observability.events import after_line
from fecosr.observability.lines import LogLine
from fecosr.observability.view import RunView
from tests.reference.small_federation import SmallFederation


@dataclass(slots=True)
class WatchedRun(FederationRun):
    """Fold what the coordinator stores and says into a view, as its process does; a line takes a second."""

    view: RunView = field(default_factory=RunView)
    clock: float = 1000.0

    def coordinator_does(self, transition: CoordinatorTransition) -> None:
        for record in transition.records:
            if isinstance(record, Entry):
                self.view = after_entry(self.view, record, self.clock)
        for item in transition.outbox:
            if isinstance(item, Observed):
                self.clock += 1.0
                self.view = after_line(self.view, LogLine(self.clock, "info", item.event, item.fields))
        FederationRun.coordinator_does(self, transition)

    def begin(self, federation: SmallFederation, nodes: Iterable[NodeSetup]) -> None:
        self.coordinator_does(open_run(federation.setup, federation.initial, self.now))
        for node in nodes:
            self.node_arrives(node)

    def go_on(self, until: Callable[["WatchedRun"], bool] = lambda _run: False) -> "WatchedRun":
        """Deliver messages and let time pass until the run is over, or until something holds."""
        while not isinstance(self.coordinator, Stopped) and not until(self):
            if not self.deliver_next():
                self.time_passes()
        return self
