import pytest
import torch

from fecosr.recommender.adapter import MarketAdapter
from fecosr.recommender.settings import AdapterSettings


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_new_adapter_corrects_nothing() -> None:
    adapter = MarketAdapter(16, 8, 5, AdapterSettings(bottleneck=3))
    assert torch.equal(adapter(torch.randn(5, 16)), torch.zeros(5, 8))


def test_the_correction_is_bottleneck_plus_gated_embedding() -> None:
    adapter = MarketAdapter(16, 8, 5, AdapterSettings(bottleneck=3))
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    semantics = torch.randn(5, 16)
    hidden = torch.nn.functional.gelu(semantics @ adapter.down.weight.T + adapter.down.bias)
    expected = hidden @ adapter.up.weight.T + adapter.up.bias + adapter.gate * adapter.local_items
    torch.testing.assert_close(adapter(semantics), expected)


def test_a_closed_gate_hides_the_local_embedding() -> None:
    adapter = MarketAdapter(16, 8, 5, AdapterSettings(bottleneck=3))
    with torch.no_grad():
        adapter.local_items.normal_()
        adapter.gate.zero_()
    assert torch.equal(adapter(torch.randn(5, 16)), torch.zeros(5, 8))
