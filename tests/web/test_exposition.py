"""Metrics as Prometheus reads them, by its own parser."""

from prometheus_client.parser import text_string_to_metric_families

from fecosr.observability.histogram import Histogram
from fecosr.observability.measures import Measure
from fecosr.web.exposition import exposition

MEASURES = (
    Measure("fecosr_round", "gauge", "The round.", (({}, 3.0),)),
    Measure("fecosr_dropouts", "counter", "Gone.", (({"market": 'fr"\n\\', "reason": "late"}, 2.0),)),
    Measure("fecosr_phase_seconds", "histogram", "Spent.", (({"phase": "unmask"}, Histogram().plus(0.02)),)),
    Measure("fecosr_violations", "counter", "None yet.", ()),
)


def test_prometheus_reads_what_was_measured() -> None:
    families = {f.name: f for f in text_string_to_metric_families(exposition(MEASURES).decode())}
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found["fecosr_round", ()] == 3.0
    assert found["fecosr_dropouts_total", (("market", 'fr"\n\\'), ("reason", "late"))] == 2.0
    assert found["fecosr_phase_seconds_bucket", (("le", "0.01"), ("phase", "unmask"))] == 0
    assert found["fecosr_phase_seconds_bucket", (("le", "0.03"), ("phase", "unmask"))] == 1
    assert found["fecosr_phase_seconds_sum", (("phase", "unmask"),)] == 0.02
    assert families["fecosr_phase_seconds"].type == "histogram"
    assert found["process_resident_memory_bytes", ()] > 1e6, "the library tells memory by itself"
