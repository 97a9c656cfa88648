"""Start a market node with `python -m market_node --config FILE`."""

from market_node.main import main

main()
