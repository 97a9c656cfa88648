"""Start the coordinator with `python -m coordinator --config FILE`."""

from coordinator.main import main

main()
