"""The market node binary: one market's data, training and model, and its connection to the coordinator."""
