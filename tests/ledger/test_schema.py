import pytest

from fecosr.errors import MisuseError
from fecosr.ids import NodeId
from fecosr.ledger.schema import SchemaError, from_json, to_json


@pytest.mark.parametrize("value", [[1], {1, 2}, 1j, object()])
def test_values_without_a_place_in_a_record_are_refused(value: object) -> None:
    with pytest.raises(MisuseError):
        to_json(value)


def test_the_field_is_named() -> None:
    with pytest.raises(SchemaError, match=r"survivors\[1\]"):
        from_json(tuple[NodeId, ...], ["de", "US"], "survivors")


@pytest.mark.parametrize("number", [0.0, -0.0, 1e300, 5e-324, 0.1])
def test_floats_read_back_bit_for_bit(number: float) -> None:
    back = from_json(float, to_json(number), "x")
    assert back.hex() == number.hex()
