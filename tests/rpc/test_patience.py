import asyncio

from fecosr.rpc.patience import Patience


def test_waits_double_up_to_the_longest_and_are_scaled_by_chance() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def scenario() -> None:
        patience = Patience(first_seconds=1.0, most_seconds=5.0, uniform=lambda: 0.5, sleep=sleep)
        for failures in (1, 2, 3, 4, 1000):
            await patience.wait(failures)

    asyncio.run(scenario())
    assert waits == [0.5, 1.0, 2.0, 2.5, 2.5]
