"""Start a market node, as `fecosr-market-node` or `python -m market_node --config FILE`."""

from typing import NoReturn

from fecosr.config.exits import end_with
from fecosr.config.imports import uncollected


def main() -> NoReturn:
    """Start a market node; an installation without its extra ends in one line."""
    end_with(_start)


def _start() -> NoReturn:
    # What a node needs and a coordinator lacks is missed here, where somebody can say so.
    with uncollected():
        from market_node.main import main as start  # noqa: PLC0415

    start()


if __name__ == "__main__":
    main()
