"""Terms that are audited in seconds: few rounds in which everybody takes part, few canaries."""

import pytest
import torch

from fecosr.audit.empirical.terms import Effort, Terms, new_plan, terms_of


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="package")
def effort() -> Effort:
    return Effort(num_canaries=300, num_runs=24, num_users=4, seed=1)


@pytest.fixture(scope="package")
def terms(effort: Effort) -> Terms:
    return terms_of(new_plan(epsilon=4.0, delta=1e-5, rounds=2, sampling_probability=1.0, effort=effort))
