import torch
from torch import nn

from fecosr.training.proximal import ProximalTerm


def loss_of(model: nn.Linear, inputs: torch.Tensor) -> torch.Tensor:
    loss: torch.Tensor = model(inputs).square().mean()
    return loss


def stepped(strength: float, *, by_hook: bool) -> list[torch.Tensor]:
    """Return the parameters after five steps, with the term in the hook or written out in the loss."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    start = [value.detach().clone() for value in model.parameters()]
    inputs = torch.randn(7, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.01)
    if by_hook:
        ProximalTerm(model, strength).attach(optimiser)
    for _ in range(5):
        loss = loss_of(model, inputs)
        if not by_hook:
            moved = [
                (value - old).square().sum() for value, old in zip(model.parameters(), start, strict=True)
            ]
            loss = loss + strength / 2 * torch.stack(moved).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return [value.detach() for value in model.parameters()]


def test_it_is_the_proximal_term_of_the_loss() -> None:
    for ours, expected in zip(stepped(3.0, by_hook=True), stepped(3.0, by_hook=False), strict=True):
        torch.testing.assert_close(ours, expected)
    assert not torch.allclose(stepped(3.0, by_hook=True)[0], stepped(0.0, by_hook=True)[0])


def test_parameters_without_gradient_stay_without() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    ProximalTerm(model, 1.0).attach(optimiser)
    loss_of(model, torch.ones(1, 3)).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert model.bias.grad is None
