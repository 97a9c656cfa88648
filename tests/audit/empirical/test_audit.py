"""Training as it is passes; broken on purpose it is found out. All secrets follow from seeds."""

from dataclasses import replace

import pytest

from fecosr.audit.empirical.audit import audit_empirically
from fecosr.audit.empirical.sabotage import BROKEN, Contribute, Fault, RingVector, as_it_is
from fecosr.audit.empirical.terms import Effort, Terms, new_plan, terms_of
from fecosr.audit.empirical.verdict import Attack, Verdict
from fecosr.privacy.accounting import pld_epsilon
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import FloatVector
from fecosr.training.private_settings import PrivateTrainingSettings

PLD = {"pld": pld_epsilon}


def attacks(verdict: Verdict) -> dict[str, Attack]:
    return {attack.name: attack for attack in verdict.attacks}


def test_training_as_it_is_passes_and_the_attack_is_not_blind(terms: Terms, effort: Effort) -> None:
    said: list[str] = []
    verdict = audit_empirically(
        terms, effort, accountants=PLD, advance=lambda activity, _done, _total: said.append(activity)
    )
    assert verdict.holds, verdict.findings
    assert verdict.claim.epsilon == pytest.approx(4.0, abs=0.02)
    assert verdict.rounds_released == verdict.rounds_planned == 2
    # Users reach the bound and never pass it; noise is what was promised, neither less nor much more.
    assert 0.99 < verdict.influence.share_of_clip_norm <= 1.0
    assert verdict.noise.measured == pytest.approx(1.0, abs=0.02)
    assert verdict.guesses is not None
    assert verdict.guesses.num_correct > 0.6 * verdict.guesses.num_guesses
    assert attacks(verdict)["one_run_f_dp"].epsilon > 0.15 * verdict.claim.epsilon
    assert {"training with canaries", "attacking one user"} <= set(said)


def test_one_user_who_is_not_clipped_is_found_and_a_run_with_canaries_does_not_show_it(
    terms: Terms, effort: Effort
) -> None:
    verdict = audit_empirically(terms, effort, BROKEN["one-user-leak"], accountants=PLD)
    assert not verdict.holds
    found = attacks(verdict)
    assert found["one_user"].refutes
    assert not found["one_run_f_dp"].refutes
    assert verdict.influence.share_of_clip_norm > 2.0
    assert any("changes a sum by" in finding for finding in verdict.findings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("fault", [None, "clipping-off", "noise-halved", "one-user-leak"])
def test_bounds_on_epsilon_alone_tell_right_from_broken(fault: Fault | None, seed: int) -> None:
    """With the influence and the noise left unmeasured, that is."""
    effort = Effort(num_canaries=700, num_runs=24, num_users=8, seed=seed)
    terms = terms_of(new_plan(epsilon=4.0, delta=1e-5, rounds=4, sampling_probability=1.0, effort=effort))
    verdict = audit_empirically(terms, effort, BROKEN[fault] if fault else as_it_is, accountants=PLD)
    refuted = {name for name, attack in attacks(verdict).items() if attack.refutes}
    wanted: dict[Fault | None, set[str]] = {
        None: set(),
        "clipping-off": {"one_run_f_dp", "one_user"},
        "noise-halved": {"one_run_f_dp"},
        "one-user-leak": {"one_user"},
    }
    assert wanted[fault] <= refuted
    assert verdict.holds == (fault is None)


def with_a_quarter_of_the_noise(
    learner: MarketLearner,
    shared: FloatVector,
    round_number: int,
    settings: PrivateTrainingSettings,
    mechanism: IntegerMechanism,
    *,
    secret: bytes,
) -> RingVector:
    little = replace(mechanism, share_variance=mechanism.share_variance // 16)
    return as_it_is(learner, shared, round_number, settings, little, secret=secret)


@pytest.mark.slow
@pytest.mark.parametrize("contribute", [as_it_is, with_a_quarter_of_the_noise])
def test_rounds_of_sampled_users_are_told_right_from_broken_too(contribute: Contribute) -> None:
    """The usual terms of the command; half of the noise is noticed in most such runs, and not in all."""
    effort = Effort(seed=0)
    terms = terms_of(new_plan(epsilon=2.0, delta=1e-5, rounds=16, sampling_probability=0.5, effort=effort))
    verdict = audit_empirically(terms, effort, contribute, accountants=PLD)
    assert verdict.power.half_noise > 0.7
    assert verdict.power.quarter_noise == 1.0
    assert attacks(verdict)["one_run_f_dp"].refutes == (contribute is not as_it_is)
    assert verdict.holds == (contribute is as_it_is)
