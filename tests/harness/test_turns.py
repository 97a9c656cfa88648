from fecosr.harness.turns import in_turns


def test_tasks_are_run_in_turns_and_once_more_than_they_are_timed() -> None:
    order: list[str] = []
    seconds = in_turns([lambda: order.append("a"), lambda: order.append("b")], turns=2)
    assert order == ["a", "b"] * 3
    assert len(seconds) == 2
    assert min(seconds) >= 0.0
