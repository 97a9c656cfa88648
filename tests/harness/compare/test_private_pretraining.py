"""Private pretraining spends what it may and no more, reads nothing but gradients, and is repeatable."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fecosr.data.sequences import MarketSequences
from fecosr.harness.compare.pretraining import new_model
from fecosr.harness.compare.private_pretraining import (
    expected_users,
    federate_privately,
    mechanism_within,
    with_public_semantics,
)
from fecosr.harness.compare.settings import ComparisonSettings, PrivateSection
from fecosr.harness.compare.study import Study, prepare_study
from fecosr.privacy.accounting import EventCounts
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.training.accounting import ACCOUNTANTS
from fecosr.training.parameters import FloatVector, initial_shared_vector, load_into
from fecosr.training.private import draw_items, sum_over_users
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import derive_seed


def afresh(study: Study, **changes: object) -> Study:
    private = study.settings.private.model_copy(update=changes)
    return replace(study, settings=study.settings.model_copy(update={"private": private}))


def mechanism(study: Study, noise_multiplier: float) -> IntegerMechanism:
    settings = study.settings
    return IntegerMechanism.fitting(
        num_parameters=len(initial_shared_vector(settings.encoder, settings.semantics, study.seed)),
        clip_norm=settings.private.clip_norm,
        noise_multiplier=noise_multiplier,
        expected_users=expected_users(study),
        num_nodes=3,
        n_min=3,
        max_colluding=1,
    )


def test_all_rounds_together_spend_the_budget_and_no_more() -> None:
    private, epsilon = PrivateSection(rounds=20), 2.0
    found = mechanism_within(epsilon, private, num_parameters=1000, num_markets=5, expected_users=1000.0)
    events: EventCounts = {found.event(private.sampling_probability): private.rounds}
    figures = [accountant(events, private.delta) for accountant in ACCOUNTANTS.values()]
    assert 0.95 * epsilon < max(figures) <= epsilon
    assert found.num_shares == 4


def test_without_noise_and_sampling_it_is_the_mean_gradient_over_all_users(study: Study) -> None:
    chosen = afresh(study, rounds=1, sampling_probability=1.0)
    found = federate_privately(chosen, mechanism(chosen, 0.05)).parameters
    start = initial_shared_vector(chosen.settings.encoder, chosen.settings.semantics, chosen.seed)
    expected = start - summed_gradients(chosen, start) / 400
    assert np.abs(expected - start).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected - start).max())


def summed_gradients(study: Study, start: FloatVector) -> FloatVector:
    private, fine = study.settings.private, mechanism(study, 0.05)
    training = PrivateTrainingSettings(
        clip_norm=private.clip_norm, noise_multiplier=1.0, sampling_probability=1.0, expected_users=400.0
    )
    model = new_model(study)
    load_into(model, start)
    total = np.zeros(len(start))
    for data in study.markets.values():
        drawn = draw_items(data.num_items, private.num_drawn, derive_seed(study.seed, "private-round", 1))
        total += sum_over_users(model, data, data.split.train, drawn, training, fine)
    return (total * fine.unit).astype(np.float32)


def test_it_is_repeatable_and_noise_leads_away(study: Study) -> None:
    first, again = (federate_privately(study, mechanism(study, 1.0)).parameters for _ in range(2))
    np.testing.assert_array_equal(first, again)
    start = initial_shared_vector(study.settings.encoder, study.settings.semantics, study.seed)
    noisy = federate_privately(study, mechanism(study, 8.0)).parameters
    assert np.linalg.norm(noisy - start) > 2 * np.linalg.norm(first - start)


def test_test_targets_play_no_part(study: Study) -> None:
    other = {
        name: replace(data, split=replace(data.split, test_target=(data.split.test_target + 1) % 40))
        for name, data in study.markets.items()
    }
    first = federate_privately(study, mechanism(study, 1.0)).parameters
    second = federate_privately(replace(study, markets=other), mechanism(study, 1.0)).parameters
    np.testing.assert_array_equal(first, second)


def test_vectors_made_from_behaviour_are_given_up_for_public_ones(
    sequences: Mapping[str, MarketSequences], settings: ComparisonSettings
) -> None:
    by_behaviour = settings.model_copy(update={"semantics": replace(settings.semantics, kind="behaviour")})
    by_id = settings.model_copy(update={"semantics": replace(settings.semantics, kind="item_ids")})
    public = with_public_semantics(prepare_study(sequences, by_behaviour, seed=1))
    expected = prepare_study(sequences, by_id, seed=1)
    for name, data in public.markets.items():
        np.testing.assert_array_equal(data.semantics, expected.markets[name].semantics)
        np.testing.assert_array_equal(data.soft.shares, expected.markets[name].soft.shares)
        assert data.semantics_source == expected.markets[name].semantics_source


def test_vectors_made_from_titles_are_public_already(study: Study) -> None:
    public = with_public_semantics(study)
    assert all(public.markets[name] is data for name, data in study.markets.items())
