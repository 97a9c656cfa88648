"""One file per method. Those that need one market only call `fecosr.training.baselines`."""
