import pytest
import torch
from torch import Tensor, nn

from fecosr.errors import MisuseError
from fecosr.recommender.encoder import SequenceEncoder
from fecosr.recommender.settings import EncoderSettings
from fecosr.training.encoder_gradients import recorded
from fecosr.training.seeds import seeded

SETTINGS = EncoderSettings(
    dimension=8, num_blocks=2, num_heads=2, feed_forward_dimension=12, projector_dimension=4, max_length=6
)


@pytest.fixture
def encoder() -> SequenceEncoder:
    with seeded(1, "encoder"):
        encoder = SequenceEncoder(SETTINGS).eval()
        for value in encoder.parameters():
            nn.init.normal_(value, std=0.3)
    return encoder


def inputs() -> Tensor:
    return torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))


def loss_of_user(user: int, states: Tensor) -> Tensor:
    return (user + 1) * states.square().cumsum(dim=0).sin().sum()


def loss_of(states: Tensor) -> Tensor:
    return torch.stack([loss_of_user(user, states[user]) for user in range(3)]).sum()


def by_recording(encoder: SequenceEncoder) -> dict[str, Tensor]:
    with recorded(encoder) as recording:
        loss = loss_of(encoder(inputs().requires_grad_()))
        return recording.gradients(torch.autograd.grad(loss, recording.outputs))


def test_each_user_has_the_gradient_that_autograd_finds_for_them_alone(encoder: SequenceEncoder) -> None:
    found = by_recording(encoder)
    names, values = zip(*encoder.named_parameters(), strict=True)
    assert found.keys() == set(names)
    for user in range(3):
        alone = loss_of_user(user, encoder(inputs()[[user]])[0])
        for name, exact in zip(names, torch.autograd.grad(alone, values), strict=True):
            torch.testing.assert_close(found[name][user], exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["a parameter of its own", "a layer of another kind"])
def test_a_parameter_that_no_rule_reaches_is_refused(encoder: SequenceEncoder, kind: str) -> None:
    """It would be trained on gradients of nobody, or released unclipped, and nothing would say so."""
    if kind == "a parameter of its own":
        encoder.scale = nn.Parameter(torch.ones(1))
    else:
        encoder.blocks[0].feed_forward.append(nn.RMSNorm(8))  # type: ignore[union-attr, operator]
    with pytest.raises(MisuseError, match="no rule for the gradients of single users"):
        by_recording(encoder)


def test_a_layer_that_is_run_twice_is_refused(encoder: SequenceEncoder) -> None:
    encoder.blocks[1] = encoder.blocks[0]
    with pytest.raises(MisuseError, match="no rule"):
        by_recording(encoder)


def test_nothing_is_recorded_afterwards(encoder: SequenceEncoder) -> None:
    with recorded(encoder) as recording:
        encoder(inputs())
    seen = len(recording.layers)
    encoder(inputs())
    assert (len(recording.layers), len(recording.states)) == (seen, 1)
    assert seen == 2 * 6 + 1
