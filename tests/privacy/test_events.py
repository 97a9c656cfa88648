import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fecosr.errors import MisuseError
from fecosr.privacy.events import (
    KINDS,
    Charge,
    Event,
    NonPrivate,
    PoissonGaussian,
    PoissonIntegerGaussian,
    event_from_fields,
    event_to_fields,
)

probabilities = st.floats(0, 1, exclude_min=True)
counts = st.integers(1, 1 << 50)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(PoissonGaussian, probabilities, st.floats(1e-3, 1e3)),
    st.builds(PoissonIntegerGaussian, probabilities, counts, counts, counts, counts, counts),
    st.just(NonPrivate()),
)


@given(events)
def test_every_event_reads_back_as_itself(event: Event) -> None:
    assert event_from_fields(json.loads(json.dumps(event_to_fields(event)))) == event


def test_the_written_form_holds_no_floating_point_number() -> None:
    assert event_to_fields(PoissonGaussian(0.5, 1.25)) == {
        "kind": "poisson_gaussian",
        "sampling_probability": "0x1.0000000000000p-1",
        "noise_multiplier": "0x1.4000000000000p+0",
    }


GOOD = event_to_fields(PoissonIntegerGaussian(0.5, 100, 1 << 24, 3, 10))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"kind": "fecosr.privacy.budget.Budget"},
        {"kind": ["poisson_gaussian"]},
        {**GOOD, "extra": 1},
        {name: value for name, value in GOOD.items() if name != "num_shares"},
        {**GOOD, "num_shares": True},
        {**GOOD, "num_shares": "3"},
        {**GOOD, "num_shares": 0},
        {**GOOD, "steps": 0},
        {name: value for name, value in GOOD.items() if name != "steps"},
        {**GOOD, "sampling_probability": 0.5},
        {**GOOD, "sampling_probability": "0.5"},
        {**GOOD, "sampling_probability": "nan"},
        {**GOOD, "sampling_probability": "0x1.8p+0"},
        {**GOOD, "sampling_probability": "0x1p+99999"},
        {"kind": "poisson_gaussian", "sampling_probability": (0.5).hex(), "noise_multiplier": "inf"},
        {"kind": "poisson_gaussian", "sampling_probability": (0.5).hex(), "noise_multiplier": (-1.0).hex()},
    ],
)
def test_refuses_anything_else(fields: dict[str, object]) -> None:
    with pytest.raises(MisuseError):
        event_from_fields(fields)


def test_kinds_are_the_ones_the_account_knows() -> None:
    assert set(KINDS) == {"poisson_gaussian", "poisson_integer_gaussian", "non_private"}


def test_a_charge_has_a_name_and_a_known_purpose() -> None:
    with pytest.raises(MisuseError):
        Charge("", "metrics", NonPrivate())
    with pytest.raises(MisuseError):
        Charge("x", "fun", NonPrivate())  # type: ignore[arg-type]
