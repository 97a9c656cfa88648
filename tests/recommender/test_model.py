import copy
from dataclasses import replace

import torch

from fecosr.recommender.adapter import LowRankChange
from fecosr.recommender.model import ItemTableModel, MarketModel, SharedModel, real_positions
from fecosr.recommender.settings import AdapterSettings, EncoderSettings


def test_shapes(shared_model: SharedModel, semantics: torch.Tensor) -> None:
    items = shared_model.item_inputs(semantics)
    assert items.shape == (23, 8)
    states = shared_model.states(items, torch.zeros(4, 6, dtype=torch.int64))
    assert states.shape == (4, 6, 8)
    assert shared_model.max_length == 9


def test_the_shared_model_holds_nothing_that_grows_with_a_catalogue(shared_model: SharedModel) -> None:
    assert {name.split(".")[0] for name, _ in shared_model.named_parameters()} == {"encoder", "projector"}
    assert not any(23 in parameter.shape for parameter in shared_model.parameters())
    assert not dict(shared_model.named_buffers())


def test_a_new_market_model_computes_what_the_shared_model_computes(
    shared_model: SharedModel, market_model: MarketModel, semantics: torch.Tensor
) -> None:
    sequences = torch.randint(23, (4, 6), generator=torch.Generator().manual_seed(0))
    ours = market_model.item_inputs(semantics)
    theirs = shared_model.item_inputs(semantics)
    assert torch.equal(ours, theirs)
    assert torch.equal(market_model.states(ours, sequences), shared_model.states(theirs, sequences))


def test_every_part_of_a_new_adapter_that_must_learn_first_gets_a_gradient(
    market_model: MarketModel, semantics: torch.Tensor
) -> None:
    sequences = torch.randint(23, (4, 6), generator=torch.Generator().manual_seed(0))
    items = market_model.item_inputs(semantics)
    (market_model.states(items, sequences) @ items.T).square().sum().backward()  # type: ignore[no-untyped-call]
    for parameter in (market_model.adapter.up.weight, market_model.adapter.local_items):
        assert parameter.grad is not None
        assert parameter.grad.abs().amax(dim=1).min() > 0.0


def test_padding_items_do_not_change_real_positions(
    market_model: MarketModel, semantics: torch.Tensor
) -> None:
    items = market_model.item_inputs(semantics)
    short = torch.tensor([[3, 1, 4]])
    padded = torch.tensor([[3, 1, 4, 0, 0], [9, 2, 6, 5, 3], [3, 1, 4, 22, 7]])
    expected = market_model.states(items, short)[0]
    for row in (0, 2):
        torch.testing.assert_close(
            market_model.states(items, padded)[row, :3], expected, rtol=1e-5, atol=1e-6
        )


def test_fresh_logits_prefer_no_item_strongly(encoder_settings: EncoderSettings) -> None:
    """A start far from uniform would have to be unlearned first, in every market."""
    torch.manual_seed(0)
    model = SharedModel(encoder_settings, 64).eval()
    semantics = torch.nn.functional.normalize(torch.randn(200, 64), dim=1)
    items = model.item_inputs(semantics)
    states = model.states(items, torch.randint(200, (8, 5)))
    shares = (states @ items.T).softmax(dim=2)
    assert shares.max() < 5 / 200


def test_real_positions_mark_what_is_no_padding() -> None:
    marked = real_positions(torch.tensor([1, 3, 2]), 3)
    assert marked.tolist() == [[True, False, False], [True, True, True], [True, True, False]]


def test_an_item_table_is_input_and_output_and_reads_no_semantics(encoder_settings: EncoderSettings) -> None:
    model = ItemTableModel(encoder_settings, 23).eval()
    items = model.item_inputs(torch.zeros(23, 0))
    assert items is model.items
    assert items.shape == (23, 8)
    assert model.max_length == 9
    states = model.states(items, torch.tensor([[3, 1, 4]]))
    torch.testing.assert_close(states, model.encoder(model.items[[3, 1, 4]][None]))


def test_all_models_give_items_of_length_one_where_logits_are_cosines(
    encoder_settings: EncoderSettings, semantics: torch.Tensor
) -> None:
    settings = replace(encoder_settings, similarity="cosine")
    shared = SharedModel(settings, 16)
    market = MarketModel(shared, 23, AdapterSettings(bottleneck=3))
    torch.nn.init.normal_(market.adapter.local_items)
    for model in (shared, market, ItemTableModel(settings, 23)):
        torch.testing.assert_close(model.item_inputs(semantics).norm(dim=1), torch.ones(23))
    assert not torch.allclose(market.item_inputs(semantics), shared.item_inputs(semantics))


def test_low_rank_changes_are_nothing_at_first_and_add_up_to_changed_layers(
    shared_model: SharedModel, semantics: torch.Tensor
) -> None:
    model = MarketModel(shared_model, len(semantics), AdapterSettings(bottleneck=4, lora_rank=2)).eval()
    torch.testing.assert_close(model.item_inputs(semantics), shared_model.item_inputs(semantics))
    changes = [change for change in model.low_rank if isinstance(change, LowRankChange)]
    assert len(changes) == 2
    for change in changes:
        torch.nn.init.normal_(change.up.weight, std=0.3)
    changed = copy.deepcopy(shared_model)
    with torch.no_grad():
        for layer, change in zip((changed.projector.hidden, changed.projector.output), changes, strict=True):
            layer.weight += change.up.weight @ change.down.weight
    found = model.item_inputs(semantics)
    torch.testing.assert_close(found, changed.item_inputs(semantics))
    assert (found - shared_model.item_inputs(semantics)).abs().max() > 0.01
