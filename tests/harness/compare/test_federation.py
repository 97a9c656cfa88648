"""The rounds of one process are those of the protocol."""

from dataclasses import dataclass

import numpy as np
import pytest

from fecosr.config.plan import AggregationSection
from fecosr.federation.ending import EarlyStopping, Schedule
from fecosr.federation.optimisers import Adaptive, ServerOptimiser, Sgd
from fecosr.federation.run import run_federation
from fecosr.harness.compare.federation import Contribution, federate, weighted_mean
from fecosr.ids import NodeId
from fecosr.training.parameters import FloatVector
from tests.reference.small_federation import SmallFederation


@dataclass(frozen=True, slots=True)
class Given:
    update: FloatVector
    num_users: int
    loss: float = 1.5


@pytest.mark.parametrize(
    ("exponent", "server"),
    [(1.0, Sgd()), (0.5, Sgd(learning_rate=0.7)), (0.5, Adaptive("adam", 0.5, tau=0.1))],
    ids=["fedavg", "damped", "adam"],
)
def test_two_rounds_give_what_the_real_protocol_gives_up_to_its_rounding(
    exponent: float, server: ServerOptimiser
) -> None:
    protocol = SmallFederation(
        ["de", "fr", "jp", "uk"], weight_exponent=exponent, server=server, clip_norm=1.0
    )
    run = run_federation(protocol.setup, protocol.nodes(), protocol.initial, protocol.train, protocol.entropy)
    final = run.models[run.fine_tuning[NodeId("de")]]

    def work(name: str, shared: FloatVector, number: int) -> Contribution:
        return Given(protocol.update(NodeId(name)), protocol.num_users(NodeId(name)))

    # With this clip norm three of the four updates are scaled down, so clipping is compared as well.
    here = federate(
        protocol.names,
        protocol.initial,
        work,
        schedule=Schedule(2, None),
        aggregation=AggregationSection(
            clip_norm=1.0,
            reference_num_users=100,
            weight_exponent=exponent,
            server=server,
        ),
    )
    np.testing.assert_allclose(here.parameters, final, atol=1e-6)
    assert np.abs(final - protocol.initial).max() > 0.1
    assert [measured.round for measured in here.rounds] == [1, 2]
    assert here.rounds[0].loss == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("curve", "rounds", "best"),
    [
        ((0.1, 0.2, 0.5, 0.4, 0.3, 0.2), 5, 2),
        ((0.9, 0.2, 0.1, 0.1), 4, 1),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 6, 5),
    ],
    ids=["a peak", "worse from the start", "better to the end"],
)
def test_a_run_ends_early_where_the_protocol_ends_it_and_with_the_same_model(
    curve: tuple[float, ...], rounds: int, best: int
) -> None:
    class Curved(SmallFederation):
        def validation(self, name: NodeId, round_number: int) -> float | None:
            # Markets do not agree: only the weighted mean follows the curve.
            return curve[round_number - 1] + (0.05 if name == "de" else -0.05 / 9)

    rule = EarlyStopping(patience=2, min_rounds=2)
    protocol = Curved(["de", "fr", "jp", "uk"], rounds=6, releases_validation=True, early_stopping=rule)
    run = run_federation(protocol.setup, protocol.nodes(), protocol.initial, protocol.train, protocol.entropy)
    measured: list[int] = []

    def work(name: str, shared: FloatVector, number: int) -> Contribution:
        measured.append(number)
        return Given(protocol.update(NodeId(name)), protocol.num_users(NodeId(name)))

    def measure(name: str, shared: FloatVector) -> float:
        return protocol.validation(NodeId(name), len(measured) // 4 + 1) or 0.0

    here = federate(
        protocol.names,
        protocol.initial,
        work,
        schedule=Schedule(6, rule),
        aggregation=AggregationSection(clip_norm=10.0, reference_num_users=100, weight_exponent=1.0),
        measure=measure,
    )
    assert len(here.rounds) == rounds
    np.testing.assert_allclose(here.parameters, run.models[run.fine_tuning[NodeId("de")]], atol=1e-5)
    of_best = protocol.initial + best * protocol.mean_update(protocol.names)
    np.testing.assert_allclose(here.parameters, of_best, atol=1e-5)
    assert [found.validation for found in here.rounds] == pytest.approx(list(curve[:rounds]), abs=1e-6)


def test_every_round_starts_from_what_the_last_one_ended_with() -> None:
    starts: list[float] = []

    def work(name: str, shared: FloatVector, number: int) -> Contribution:
        starts.append(float(shared[0]))
        return Given(np.ones(3, np.float32), 10)

    told: list[tuple[int, int]] = []
    federate(
        ["a", "b"],
        np.zeros(3, np.float32),
        work,
        schedule=Schedule(3, None),
        aggregation=AggregationSection(clip_norm=10.0),
        round_done=lambda done, total: told.append((done, total)),
    )
    assert starts == [0, 0, 1, 1, 2, 2]
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_the_weighted_mean_is_that_of_numpy() -> None:
    generator = np.random.default_rng(0)
    updates = {name: generator.normal(size=50).astype(np.float32) for name in "abc"}
    weights = {"a": 0.1, "b": 1.0, "c": 0.4}
    expected = np.average(np.stack(list(updates.values())), axis=0, weights=list(weights.values()))
    np.testing.assert_allclose(weighted_mean(updates, weights), expected, rtol=1e-6)
