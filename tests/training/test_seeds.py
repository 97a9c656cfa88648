import torch

from fecosr.training.seeds import derive_seed, seeded


def test_every_name_makes_a_difference() -> None:
    seeds = {
        derive_seed(0, "round", 1, "de"),
        derive_seed(0, "round", 1, "fr"),
        derive_seed(0, "round", 2, "de"),
        derive_seed(1, "round", 1, "de"),
        derive_seed(0, "round", "1", "de"),
        derive_seed(0, "rou", "nd", 1, "de"),
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_a_derived_seed_is_pinned() -> None:
    """A run that is resumed on another version has to draw the same numbers."""
    assert derive_seed(7, "round", 3, "de") == 1548028033467178103


def test_a_seeded_block_neither_feels_nor_leaves_a_trace() -> None:
    torch.manual_seed(1)
    undisturbed = torch.rand(2)
    torch.manual_seed(1)
    with seeded(5, "block"):
        first = torch.rand(3)
    assert torch.equal(torch.rand(2), undisturbed)
    with seeded(5, "block"):
        assert torch.equal(torch.rand(3), first)
