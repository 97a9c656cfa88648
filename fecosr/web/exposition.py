"""Metrics in the text format of Prometheus, with the figures of this process that its library knows."""

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from fecosr.observability.histogram import Histogram
from fecosr.observability.measures import Measure

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def exposition(measures: Iterable[Measure]) -> bytes:
    """Return `measures`, and memory, processor time and open files of this process."""
    registry = CollectorRegistry()
    registry.register(_Given(measures))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Given(Collector):
    """Collect what is known already."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        self._families = tuple(map(_family, measures))

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _family(measure: Measure) -> Metric:
    names = sorted({name for labels, _ in measure.samples for name in labels})
    histogram = HistogramMetricFamily(measure.name, measure.says, labels=names)
    counter = CounterMetricFamily(measure.name, measure.says, labels=names)
    gauge = GaugeMetricFamily(measure.name, measure.says, labels=names)
    for labels, value in measure.samples:
        values = [labels[name] for name in names]
        if isinstance(value, Histogram):
            buckets = [(bound, count) for bound, count in value.cumulated()]
            histogram.add_metric(values, buckets, sum_value=value.total_seconds)
        else:
            counter.add_metric(values, value)
            gauge.add_metric(values, value)
    return {"histogram": histogram, "counter": counter, "gauge": gauge}[measure.kind]
