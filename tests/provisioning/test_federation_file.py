from pathlib import Path

import pytest

from fecosr.errors import ConfigError
from fecosr.federation.policy import NodePolicy
from fecosr.provisioning.federation_file import CoordinatorSection, FederationFile, load_federation


def test_a_market_without_a_policy_accepts_what_the_plan_says_and_nothing_weaker(
    federation: FederationFile,
) -> None:
    markets = federation.by_name()
    policies = {name: market.policy_under(federation.plan) for name, market in markets.items()}

    assert policies == {
        "ca": NodePolicy(n_min=2, max_colluding=0, max_rounds=4, max_clip_norm=5.0, min_ring_bits=32),
        "de": NodePolicy(n_min=3, max_colluding=1, max_rounds=2, max_clip_norm=1.0),
    }


def test_the_coordinator_binds_every_interface_at_its_port_unless_told_otherwise() -> None:
    assert CoordinatorSection(address="fed.example.org:7443").interface() == "0.0.0.0:7443"
    assert CoordinatorSection(address="a:1", listen="10.0.0.1:2").interface() == "10.0.0.1:2"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('name = "de"', 'name = "ca"', "two markets are called ca"),
        ("n_min = 2", "n_min = 3", "n_min is 3, there are 2 markets: no round could open"),
        ("n_min = 2", "n_min = 2\nparticipation = 0.4", "invites 1 of 2 markets: no round could open"),
        ("num_threads = 2", "num_thread = 2", "markets.1.num_thread: unknown key"),
        ("rounds = 4", "round = 4", r":7: plan.run.round: unknown key|:4: plan.run.rounds: is missing"),
        ('mode = "none"', 'mode = "maybe"', ":13: plan.privacy: mode"),
        ('address = "fed.example.org:7443"', 'address = "fed.example.org"', ":2: coordinator.address"),
    ],
)
def test_a_federation_that_cannot_work_is_refused(
    federation_file: Path, old: str, new: str, complaint: str
) -> None:
    federation_file.write_text(federation_file.read_text().replace(old, new, 1))

    with pytest.raises(ConfigError, match=complaint) as refused:
        load_federation(federation_file)

    assert "\n" not in str(refused.value)
