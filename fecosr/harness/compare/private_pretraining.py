"""Pretraining under user-level differential privacy, mode "distributed", in one process: no masks, noise.

Every function is the parties' own, down to the ring elements, so a round here gives what a round of the
protocol gives with all markets present, bit for bit but for the draws.
"""

import hashlib
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from fecosr.federation.aggregation import parameters_hash
from fecosr.federation.private_rounds import PrivateContribution, PrivateEncoding
from fecosr.federation.user_privacy import DistributedPrivacy
from fecosr.harness.compare.federation import Pretrained
from fecosr.harness.compare.pretraining import new_model
from fecosr.harness.compare.settings import PrivateSection
from fecosr.harness.compare.study import Study
from fecosr.privacy.calibration import calibrate_noise_multiplier
from fecosr.privacy.integer_mechanism import IntegerMechanism
from fecosr.recommender.semantics.catalogue import SOURCE_BEHAVIOUR, catalogue_semantics
from fecosr.recommender.soft_targets import semantic_targets
from fecosr.training.accounting import ACCOUNTANTS
from fecosr.training.parameters import FloatVector, initial_shared_vector
from fecosr.training.prepared import PreparedMarket
from fecosr.training.private import distributed_contribution
from fecosr.training.private_settings import PrivateTrainingSettings
from fecosr.training.seeds import derive_seed

_ANY_NOISE: Final = 1.0
"""In terms whose noise is yet to be found."""


def with_public_semantics(study: Study) -> Study:
    """Return the study with vectors that depend on no user: item ids in place of behaviour.

    A sketch of behaviour would have to be paid for, and under the noise that a small epsilon wants only the
    counts of the most popular items are left of it.
    """
    return replace(study, markets={name: _public(study, name) for name in study.markets})


def pretrain_privately(study: Study, stage: str, epsilon: float) -> Pretrained:
    """Return the shared model after all private rounds of a study with public semantics."""
    return study.stages.pretrained(stage, lambda: federate_privately(study, _within(study, epsilon)))


@cache
def mechanism_within(
    epsilon: float, private: PrivateSection, *, num_parameters: int, num_markets: int, expected_users: float
) -> IntegerMechanism:
    """Return the mechanism with least noise at which all rounds together cost no more than epsilon."""

    def terms(noise_multiplier: float) -> DistributedPrivacy:
        return DistributedPrivacy(
            epsilon=epsilon,
            delta=private.delta,
            clip_norm=private.clip_norm,
            noise_multiplier=noise_multiplier,
            sampling_probability=private.sampling_probability,
            expected_users=expected_users,
        )

    def mechanism(noise_multiplier: float) -> IntegerMechanism:
        return terms(noise_multiplier).mechanism(
            num_parameters=num_parameters,
            num_nodes=num_markets,
            n_min=num_markets,
            max_colluding=private.max_colluding,
        )

    enough = calibrate_noise_multiplier(
        lambda noise: {terms(_ANY_NOISE).event(mechanism(noise)): private.rounds},
        epsilon=epsilon,
        delta=private.delta,
        accountants=ACCOUNTANTS,
    )
    return mechanism(enough)


def federate_privately(study: Study, mechanism: IntegerMechanism) -> Pretrained:
    """Return the shared model after all private rounds, each sum noised by this mechanism."""
    private, settings = study.settings.private, study.settings
    parameters = initial_shared_vector(settings.encoder, settings.semantics, study.seed)
    training = PrivateTrainingSettings(
        clip_norm=private.clip_norm,
        noise_multiplier=mechanism.noise_multiplier,
        sampling_probability=private.sampling_probability,
        expected_users=expected_users(study),
        loss=settings.local_training.loss,
        num_drawn=private.num_drawn,
    )
    encoding = PrivateEncoding(mechanism, training.expected_users, len(study.markets))
    state = private.server.init(len(parameters))
    for number in range(1, private.rounds + 1):
        total = _sum_over_markets(study, parameters, number, training, encoding)
        step = private.server.apply(parameters, encoding.decode(total, len(study.markets)), state)
        parameters, state = step.parameters, step.state
        study.advance("private rounds", number, private.rounds)
    return Pretrained(parameters, ())


def expected_users(study: Study) -> float:
    """Return how many users of all markets a round samples on average."""
    num_users = sum(len(data.split.train) for data in study.markets.values())
    return study.settings.private.sampling_probability * num_users


def _within(study: Study, epsilon: float) -> IntegerMechanism:
    settings = study.settings
    return mechanism_within(
        epsilon,
        settings.private,
        num_parameters=len(initial_shared_vector(settings.encoder, settings.semantics, study.seed)),
        num_markets=len(study.markets),
        expected_users=expected_users(study),
    )


def _sum_over_markets(
    study: Study,
    parameters: FloatVector,
    number: int,
    training: PrivateTrainingSettings,
    encoding: PrivateEncoding,
) -> npt.NDArray[np.uint32]:
    model, model_hash = new_model(study), parameters_hash(parameters)
    total = np.zeros(encoding.length, np.uint32)
    for name, data in study.markets.items():
        vector = distributed_contribution(
            model,
            data,
            parameters,
            training,
            encoding.mechanism,
            public_seed=derive_seed(study.seed, "private-round", number),
            secret=_repeatable_secret(study.seed, name, number),
        )
        total += encoding.encode(PrivateContribution(model_hash, vector))
    return total


def _repeatable_secret(seed: int, market: str, number: int) -> bytes:
    """Return what a node draws from its operating system; a comparison must be repeatable, not secret."""
    return hashlib.sha256(f"repeatable {seed} {market} {number}".encode()).digest()


def _public(study: Study, name: str) -> PreparedMarket:
    data, settings = study.markets[name], study.settings
    if data.semantics_source != SOURCE_BEHAVIOUR:
        return data
    by_id = replace(settings.semantics, kind="item_ids")
    items = catalogue_semantics(study.catalogues[name].item_ids, None, by_id)
    return replace(
        data,
        semantics=torch.from_numpy(items.vectors).to(data.device),
        semantics_source=items.source,
        soft=semantic_targets(items.vectors, settings.s2ce).to(data.device),
    )
