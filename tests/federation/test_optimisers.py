"""Server optimisers against torch, against numbers computed by hand, and against their own bounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fecosr.federation.aggregation import Vector
from fecosr.federation.optimisers import Adaptive, OptimiserState, ServerOptimiser, ServerStep, Sgd

ROUNDS, NUM_PARAMETERS = 12, 30


def means(seed: int = 3) -> list[Vector]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(NUM_PARAMETERS, dtype=np.float32) for _ in range(ROUNDS)]


def start() -> Vector:
    return np.linspace(-1.0, 1.0, NUM_PARAMETERS, dtype=np.float32)


def after(optimiser: ServerOptimiser, updates: list[Vector]) -> ServerStep:
    step = ServerStep(start(), optimiser.init(NUM_PARAMETERS))
    for update in updates:
        step = optimiser.apply(step.parameters, update, step.state)
    return step


def test_plain_sgd_is_fedavg_and_remembers_nothing() -> None:
    parameters = np.array([1.0, 2.0], dtype=np.float32)
    step = Sgd(learning_rate=0.5).apply(parameters, np.array([1.0, -2.0], dtype=np.float32), OptimiserState())
    np.testing.assert_array_equal(step.parameters, np.array([1.5, 1.0], dtype=np.float32))
    assert step.parameters.dtype == np.float32
    assert dict(step.state.moments) == {}
    np.testing.assert_array_equal(parameters, [1.0, 2.0])


def test_momentum_is_that_of_torch() -> None:
    parameter = torch.nn.Parameter(torch.from_numpy(start()))
    theirs = torch.optim.SGD([parameter], lr=0.3, momentum=0.9)
    for update in means():
        parameter.grad = torch.from_numpy(-update)
        theirs.step()
    ours = after(Sgd(learning_rate=0.3, momentum=0.9), means()).parameters
    np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_adam_is_that_of_torch_without_its_bias_correction() -> None:
    """Torch's first moment starts at 0 as ours; its second is set to tau^2, its corrections are undone."""
    settings = Adaptive("adam", learning_rate=0.1, beta1=0.8, beta2=0.95, tau=0.01)
    parameter = torch.nn.Parameter(torch.from_numpy(start()))
    theirs = torch.optim.Adam([parameter], lr=0.1, betas=(0.8, 0.95), eps=0.01)
    parameter.grad = torch.zeros(NUM_PARAMETERS)
    theirs.step()  # It makes the moments, all zero, and moves nothing.
    theirs.state[parameter]["step"].zero_()
    theirs.state[parameter]["exp_avg_sq"].fill_(0.01**2)
    for step, update in enumerate(means(), start=1):
        first, second = 1 - 0.8**step, (1 - 0.95**step) ** 0.5
        theirs.param_groups[0].update(lr=0.1 * first / second, eps=0.01 / second)
        parameter.grad = torch.from_numpy(-update)
        theirs.step()
    ours = after(settings, means()).parameters
    np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_yogi_by_hand() -> None:
    """The first round: m = .5 * 0 + .5 * 2, v = .25 - .5 * 4 * sign(.25 - 4)."""
    settings = Adaptive("yogi", learning_rate=1.0, beta1=0.5, beta2=0.5, tau=0.5)
    state, parameters = settings.init(1), np.zeros(1, dtype=np.float32)
    expected = 0.0
    for mean, first, second in ((2.0, 1.0, 2.25), (0.0, 0.5, 2.25), (-1.0, -0.25, 1.75)):
        step = settings.apply(parameters, np.array([mean], dtype=np.float32), state)
        expected += first / (second**0.5 + 0.5)
        state, parameters = step.state, step.parameters
        assert float(state.moments["first"][0]) == first
        assert float(state.moments["second"][0]) == second
        assert float(parameters[0]) == pytest.approx(expected, rel=1e-6)


def test_yogi_and_adam_part_once_the_mean_shrinks() -> None:
    """Adam forgets a large second moment at once, Yogi by no more than the small square."""
    large, small = (np.full(NUM_PARAMETERS, x, dtype=np.float32) for x in (1.0, 1e-3))
    seconds = [
        after(Adaptive(name, 0.1), [large, *[small] * 5]).state.moments["second"][0]
        for name in ("adam", "yogi")
    ]
    assert seconds[0] < seconds[1]


decays = st.floats(0.0, 0.999)


@given(
    settings=st.builds(
        Adaptive, st.sampled_from(["adam", "yogi"]), st.just(0.5), decays, decays, st.floats(1e-6, 1.0)
    ),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**32 - 1),
)
def test_nobody_moves_the_model_further_than_the_bound(settings: Adaptive, scale: float, seed: int) -> None:
    step = ServerStep(np.zeros(NUM_PARAMETERS, np.float32), settings.init(NUM_PARAMETERS))
    for update in means(seed):
        clipped = (update * (scale / np.linalg.norm(update))).astype(np.float32)
        following = settings.apply(step.parameters, clipped, step.state)
        assert (following.state.moments["second"] >= 0).all()
        root = np.sqrt(following.state.moments["second"])
        moved = 0.5 * following.state.moments["first"] / (root + settings.tau)
        assert np.linalg.norm(moved) <= 0.5 * scale / settings.tau * 1.0001
        assert np.isfinite(following.parameters).all()
        step = following


def test_a_state_is_named_by_all_it_holds() -> None:
    state = after(Adaptive("adam", 0.1), means()).state
    assert state.hash() == OptimiserState(dict(sorted(state.moments.items(), reverse=True))).hash()
    swapped = OptimiserState({"first": state.moments["second"], "second": state.moments["first"]})
    assert (
        len({state.hash(), swapped.hash(), OptimiserState().hash(), Adaptive("adam", 0.1).init(3).hash()})
        == 4
    )


@pytest.mark.parametrize(
    ("optimiser", "changes", "rule"),
    [
        (Sgd(), {"learning_rate": 0.0}, "learning_rate"),
        (Sgd(), {"learning_rate": float("nan")}, "learning_rate"),
        (Sgd(), {"momentum": 1.0}, "momentum"),
        (Adaptive("adam", 0.1), {"beta1": -0.1}, "beta1"),
        (Adaptive("adam", 0.1), {"beta2": 1.0}, "beta2"),
        (Adaptive("yogi", 0.1), {"tau": 0.0}, "tau"),
    ],
)
def test_settings_out_of_range_are_refused(
    optimiser: ServerOptimiser, changes: dict[str, float], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        replace(optimiser, **changes)  # type: ignore[arg-type]
