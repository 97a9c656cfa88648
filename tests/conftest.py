"""Make every run of the suite the same: property tests draw their examples from fixed seeds."""

from hypothesis import settings

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
