from random import Random

import pytest

from fecosr.simulation.faults import Faults
from fecosr.simulation.network import Network


def drain(network: Network[int]) -> list[tuple[float, int]]:
    arrived = []
    while network.next_at() < float("inf"):
        at = network.next_at()
        arrived.append((at, network.receive()))
    return arrived


def send_all(faults: Faults, count: int = 200, seed: int = 1) -> list[tuple[float, int]]:
    network: Network[int] = Network(faults, Random(seed))
    for i in range(count):
        network.send(i, now=0.0)
    return drain(network)


def test_everything_arrives_once_in_time_and_out_of_order() -> None:
    arrived = send_all(Faults(least_delay_seconds=0.5, most_delay_seconds=2.0))
    assert sorted(message for _, message in arrived) == list(range(200))
    assert [message for _, message in arrived] != list(range(200))
    assert all(0.5 <= at <= 2.0 for at, _ in arrived)
    assert [at for at, _ in arrived] == sorted(at for at, _ in arrived)


def test_loss_and_duplication_happen_about_as_often_as_said() -> None:
    lost = send_all(Faults(loss=0.5))
    assert 60 < len(lost) < 140
    assert len({message for _, message in lost}) == len(lost)
    doubled = send_all(Faults(duplication=0.5))
    assert 260 < len(doubled) < 340
    assert {message for _, message in doubled} == set(range(200))
    assert send_all(Faults(loss=1.0)) == []


def test_the_seed_decides_everything() -> None:
    faults = Faults(loss=0.2, duplication=0.2)
    assert send_all(faults) == send_all(faults)
    assert send_all(faults) != send_all(faults, seed=2)


def test_what_is_scheduled_arrives_exactly_then_whatever_the_faults() -> None:
    network: Network[int] = Network(Faults(loss=1.0), Random(1))
    network.schedule(7, at=3.0)
    network.schedule(8, at=3.0)
    network.schedule(6, at=1.0)
    assert drain(network) == [(1.0, 6), (3.0, 7), (3.0, 8)]


def test_an_empty_network_has_nothing_to_receive() -> None:
    network: Network[int] = Network(Faults(), Random(1))
    assert network.next_at() == float("inf")
    with pytest.raises(IndexError):
        network.receive()
