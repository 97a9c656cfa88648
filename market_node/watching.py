"""What a market node shows its own operator: metrics, where its configuration asks for them."""

from contextlib import AbstractContextManager, nullcontext

from fecosr import __version__
from fecosr.config.logs import Observer
from fecosr.config.parties import NodeConfig
from fecosr.ids import RunId
from fecosr.observability.measures import Traffic
from fecosr.observability.node import NodeView, after_node_line, node_measures
from fecosr.observability.position import STARTING
from fecosr.rpc.traffic import TrafficMeter
from fecosr.web.following import Following
from fecosr.web.server import CertificateFiles, WebServer, web_server
from fecosr.web.traces import collector_traces


class Watching:
    """Follow one node by its log, and make pages of what is known of it.

    Args:
        config: of the node.
        run: the run's name.

    Raises:
        ConfigError: traces cannot be sent as configured.
    """

    has_dashboard = False

    def __init__(self, config: NodeConfig, run: RunId) -> None:
        self._config = config
        self._following = Following(NodeView(run, config.market, __version__))
        self._meter = TrafficMeter()
        self._traces = collector_traces(run, config.market) if config.traces else None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Return who is to be shown every log line."""
        traced = () if self._traces is None else (self._traces.see,)
        if self._config.web is None:
            return traced
        return (lambda line: self._following.see(lambda view: after_node_line(view, line)), *traced)

    def count_with(self, meter: TrafficMeter) -> None:
        """Let `meter` say how many bytes went over the wire."""
        self._meter = meter

    def server(self) -> AbstractContextManager[WebServer | None]:
        """Return the server of the metrics with its port taken, not started; None where nobody wants them.

        Raises:
            ConfigError: it cannot be served as configured.
        """
        web, tls = self._config.web, self._config.tls
        if web is None:
            return nullcontext()
        return web_server(web, CertificateFiles(tls.certificate, tls.key), self)

    def close(self) -> None:
        """Send the last spans, where the market wants them."""
        if self._traces is not None:
            self._traces.close()

    def is_ready(self) -> bool:
        """Say whether the market's data are loaded."""
        return self._following.newest[1].position.phase != STARTING

    def state(self) -> tuple[str, bytes]:
        """Return nothing: a node has no dashboard."""
        return "", b"{}"

    def metrics(self) -> tuple[str, bytes]:
        """Return the metrics in the format of Prometheus."""
        # Loaded by the first who asks.
        from fecosr.web.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415

        _, view = self._following.newest
        traffic = Traffic(self._meter.received_bytes, self._meter.sent_bytes)
        return CONTENT_TYPE, exposition(node_measures(view, traffic))
