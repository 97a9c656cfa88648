"""The same attackers on every view: certain of a bare update, at chance under its masks."""

from dataclasses import replace

import pytest

from fecosr.audit.attacks.comparison import Comparison, Shown, compare, findings, for_programs
from fecosr.audit.attacks.views import ViewName
from fecosr.errors import ConfigError


@pytest.fixture(scope="module")
def shown() -> dict[ViewName, Shown]:
    return compare(Comparison(rounds=5, users=3, epsilon=1.0, seed=1))


def test_a_bare_update_gives_users_and_items_away(shown: dict[ViewName, Shown]) -> None:
    bare = shown["unmasked"]
    assert bare.membership.mean > 0.85
    assert bare.items.mean > 0.85
    assert bare.recall.mean > 4 * bare.recall_by_luck
    assert bare.tells


def test_under_its_masks_it_says_nothing(shown: dict[ViewName, Shown]) -> None:
    masked = shown["masked"]
    assert masked.membership.low < 0.5 < masked.membership.high
    assert masked.items.low < 0.5 < masked.items.high
    assert masked.recall.mean < 2 * masked.recall_by_luck
    assert not masked.tells


def test_the_sum_of_few_still_tells_and_noise_is_what_helps(shown: dict[ViewName, Shown]) -> None:
    assert shown["sum"].tells
    assert shown["sum"].items.mean > 0.75
    assert shown["private_sum"].items.mean < 0.6
    assert shown["private_sum"].membership.mean < shown["sum"].membership.mean
    assert not list(findings(shown))
    assert for_programs(shown)["verified"] is True


def test_masks_that_leak_and_attackers_who_are_blind_are_findings(shown: dict[ViewName, Shown]) -> None:
    leaking = {**shown, "masked": shown["unmasked"]}
    assert ["masks do not hide it" in finding for finding in findings(leaking)] == [True]
    blind = {**shown, "unmasked": replace(shown["unmasked"], sure=(0.4, 0.5))}
    assert ["so what they find elsewhere" in finding for finding in findings(blind)] == [True]
    assert for_programs(blind)["verified"] is False


@pytest.mark.parametrize("wrong", [{"rounds": 1}, {"users": 0}, {"epsilon": 0.0}])
def test_refuses_what_cannot_be_compared(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        compare(Comparison(**{"rounds": 2, "users": 1, **wrong}))
