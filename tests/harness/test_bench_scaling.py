"""The benchmark of the coordinator's scaling, with sizes that take a moment."""

from fecosr.harness.bench_scaling import measure


def test_more_nodes_cost_the_coordinator_more() -> None:
    figures = measure(((3, 1000), (12, 1000)))
    assert [figure.unit for figure in figures] == ["s", "s", "MiB"] * 2
    assert all(figure.ours > 0 and figure.reference > 0 for figure in figures)
    few, many = figures[0], figures[3]
    assert few.name == "processor time of the coordinator, 3 nodes, 1,000 parameters"
    assert many.ours > few.ours
