from fecosr.data.seeding import generator_for


def test_generators_depend_on_seed_and_purpose_and_on_nothing_else() -> None:
    def draw(seed: int, *purpose: str) -> int:
        return int(generator_for(seed, *purpose).integers(2**62))

    assert draw(1, "items", "north") == draw(1, "items", "north")
    different = {
        draw(1, "items", "north"),
        draw(2, "items", "north"),
        draw(1, "items", "south"),
        draw(1, "users"),
    }
    assert len(different | {draw(1, "itemsnorth"), draw(11, "items", "north")}) == 6
