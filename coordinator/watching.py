"""What a coordinator shows its operator: a view that follows its ledger and its log, and pages made of it."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fecosr.config.clock import utc_now
from fecosr.config.logs import Observer
from fecosr.config.parties import CoordinatorConfig
from fecosr.federation.effects import CoordinatorRecord
from fecosr.ids import COORDINATOR, RunId
from fecosr.ledger.log import Entry
from fecosr.observability.budget import epsilon_spent
from fecosr.observability.entries import after_entry
from fecosr.observability.events import after_line
from fecosr.observability.measures import Traffic, run_measures
from fecosr.observability.page import page
from fecosr.observability.view import RunView
from fecosr.rpc.traffic import TrafficMeter
from fecosr.web.audit_file import AuditFile
from fecosr.web.following import Following
from fecosr.web.server import CertificateFiles, WebServer, web_server
from fecosr.web.traces import collector_traces

Persist = Callable[[CoordinatorRecord], None]


class Watching:
    """Follow a run, if anybody wants to see it.

    Args:
        config: of the coordinator.
        run: the run's name.

    Raises:
        ConfigError: traces cannot be sent as configured.
    """

    def __init__(self, config: CoordinatorConfig, run: RunId) -> None:
        self._config = config
        self._traces = collector_traces(run, COORDINATOR) if config.traces else None
        self._following = Following(RunView())
        self._meter = TrafficMeter()

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Return who is to be shown every log line."""
        traced = () if self._traces is None else (self._traces.see,)
        if self._config.web is None:
            return traced
        return (lambda line: self._following.see(lambda view: after_line(view, line)), *traced)

    def remember(self, entries: tuple[Entry, ...], meter: TrafficMeter) -> None:
        """Take in the ledger of an earlier process, and who counts bytes in this one."""
        self._meter = meter
        for entry in entries if self._config.web else ():
            self._see(entry, None)

    def stored(self, persist: Persist) -> Persist:
        """Return `persist`, followed by a look at what it has stored."""
        if self._config.web is None:
            return persist

        def persist_and_see(record: CoordinatorRecord) -> None:
            persist(record)
            if isinstance(record, Entry):
                self._see(record, utc_now().timestamp())

        return persist_and_see

    def server(self) -> AbstractContextManager[WebServer | None]:
        """Return the server of the pages with its port taken, not started; None where nobody wants them.

        Raises:
            ConfigError: it cannot be served as configured.
        """
        web, tls = self._config.web, self._config.tls
        if web is None:
            return nullcontext()
        pages = RunPages(self._following, lambda: self._meter, AuditFile(web.audit))
        return web_server(web, CertificateFiles(tls.certificate, tls.key), pages)

    def close(self) -> None:
        """Send the last spans, where somebody wants them."""
        if self._traces is not None:
            self._traces.close()

    def _see(self, entry: Entry, now: float | None) -> None:
        self._following.see(lambda view: after_entry(view, entry, now))


class RunPages:
    """Make pages of the newest view; one view is made a page of once.

    Args:
        following: holds it.
        meter: returns who counts bytes.
        audit: holds the newest audit.
    """

    has_dashboard = True

    def __init__(
        self, following: Following[RunView], meter: Callable[[], TrafficMeter], audit: AuditFile
    ) -> None:
        self._following = following
        self._meter = meter
        self._audit = audit
        self._made: tuple[str, bytes] = ("", b"")

    def is_ready(self) -> bool:
        """Say whether the run has been opened."""
        return self._following.newest[1].state != "starting"

    def state(self) -> tuple[str, bytes]:
        """Return the dashboard's JSON and its tag."""
        number, view = self._following.newest
        audit = self._audit.newest()
        tag = f"{number}-{0 if audit is None else audit.at}"
        if tag != self._made[0]:
            told = page(view, epsilon_spent, audit)
            self._made = (tag, json.dumps(told, allow_nan=False).encode())
        return self._made

    def metrics(self) -> tuple[str, bytes]:
        """Return the metrics in the format of Prometheus."""
        # Loaded by the first who asks.
        from fecosr.web.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415

        _, view = self._following.newest
        meter = self._meter()
        traffic = Traffic(meter.received_bytes, meter.sent_bytes)
        return CONTENT_TYPE, exposition(run_measures(view, traffic, epsilon_spent))
