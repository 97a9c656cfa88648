"""The plan's section on privacy: one class for each mode, of which a plan names one."""

from typing import Annotated, Literal

from pydantic import Field

from fecosr.config.toml import Section
from fecosr.federation.user_privacy import DistributedPrivacy, LocalPrivacy


class NoPrivacySection(Section):
    """State that there is no differential privacy.

    The exact sum of the cohort's updates is opened each round. Secure aggregation hides the single
    update, but nothing bounds what the sum or the model says about one customer.

    `validation` is "released" when every round also opens the markets' weighted mean NDCG@10 on their own
    validation users, under the same secure aggregation; "hidden" when nobody measures or sends it.
    """

    mode: Literal["none"]
    validation: Literal["hidden", "released"] = "hidden"


class _UserPrivacySection(Section):
    """Hold what both private modes state; nothing that decides privacy has a default."""

    privacy_unit: Literal["user"]
    neighboring_relation: Literal["add_or_remove_one"]
    epsilon: float = Field(gt=0, le=1000, allow_inf_nan=False)
    delta: float = Field(gt=0, lt=1)
    clip_norm: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    noise_multiplier: float = Field(gt=0, le=1e6, allow_inf_nan=False)
    sampling_probability: float = Field(gt=0, le=1)
    expected_users: float = Field(ge=1, le=1e9, allow_inf_nan=False)
    num_drawn: int = Field(default=256, ge=1)


class DistributedPrivacySection(_UserPrivacySection):
    """State user-level differential privacy with noise in shares; nothing that decides it has a default.

    Every market samples its users with `sampling_probability`, clips the gradient of each to `clip_norm`,
    adds them up, adds its share of the noise and masks the sum. The sum over the markets is divided by
    `expected_users`, a public estimate of how many users it is over, and the server optimiser steps against
    it. No market's users are charged more than `epsilon` at `delta` in the whole run.

    `holds_against` says in so many words whom this is promised against: a coordinator that knows everything
    that `cohort.max_colluding` of the markets know. What they add of the noise does not count.
    """

    mode: Literal["distributed"]
    holds_against: Literal["coordinator_and_max_colluding_nodes"]

    def terms(self) -> DistributedPrivacy:
        """Return the terms as the protocol knows them."""
        return DistributedPrivacy(**self.model_dump(exclude={"mode", "num_drawn"}))


class LocalPrivacySection(_UserPrivacySection):
    """State user-level differential privacy with all the noise in each market; no term of it has a default.

    Every market takes `steps` steps a round, each with Adam on a sum over users sampled anew with
    `sampling_probability`, whose gradients are clipped to `clip_norm` one by one, with noise of
    `noise_multiplier * clip_norm`, over `expected_users`, a public estimate of how many users of a market one
    such sum is over. Only the difference that these steps made is sent: clipped to `aggregation.clip_norm`,
    with weight one, and masked. No market's users are charged more than `epsilon` at `delta` in the run.

    `holds_against` says in so many words whom this is promised against: everybody but the user's own market,
    whatever they know of it, even if they see its update unmasked.
    """

    mode: Literal["local"]
    holds_against: Literal["everybody_outside_the_market"]
    steps: int = Field(ge=1, le=10_000)
    learning_rate: float = Field(default=0.001, gt=0, le=10, allow_inf_nan=False)

    def terms(self) -> LocalPrivacy:
        """Return the terms as the protocol knows them."""
        return LocalPrivacy(**self.model_dump(exclude={"mode", "num_drawn", "learning_rate"}))


PrivateSection = DistributedPrivacySection | LocalPrivacySection
PrivacySection = Annotated[
    NoPrivacySection | DistributedPrivacySection | LocalPrivacySection, Field(discriminator="mode")
]
