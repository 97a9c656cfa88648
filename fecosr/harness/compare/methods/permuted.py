"""FeCoSR on permuted semantics: every item has the vector of another. A control, not a contender.

The same permutation of the union of all catalogues holds in every market, so whatever the vectors do apart
from meaning something (tell items apart, name a shared item alike everywhere, soften targets) they still do.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from fecosr.harness.compare.method import Trained
from fecosr.harness.compare.pooling import union_catalogue
from fecosr.harness.compare.pretraining import fine_tuned, pretrain
from fecosr.harness.compare.study import Study
from fecosr.recommender.soft_targets import semantic_targets
from fecosr.training.prepared import PreparedMarket
from fecosr.training.seeds import derive_seed


class FeCoSRPermuted:
    """Do what FeCoSR does, with vectors that mean something else."""

    name: ClassVar = "fecosr-permuted"
    label: ClassVar = "FeCoSR permuted"
    description: ClassVar = "Control: FeCoSR with the semantic vectors dealt out anew to the items."
    breaks_isolation: ClassVar = False
    uses_other_markets: ClassVar = True
    stage: ClassVar = name

    def train(self, study: Study) -> Trained:
        """Return one fine-tuned model per market."""
        permuted = replace(study, markets=permuted_markets(study))
        return fine_tuned(permuted, pretrain(permuted, self.stage, loss="s2ce"))


def permuted_markets(study: Study) -> Mapping[str, PreparedMarket]:
    """Return the markets with semantic vectors dealt out anew, the same way in all of them."""
    union = union_catalogue(study)
    generator = np.random.default_rng(derive_seed(study.seed, "permuted semantics"))
    dealt = union.semantics[torch.from_numpy(generator.permutation(len(union.item_ids)))]  # [V, Z]
    markets = {}
    for name, data in study.markets.items():
        vectors = dealt[torch.from_numpy(union.rows[name])]
        soft = semantic_targets(vectors.numpy(), study.settings.s2ce)
        dealt_out = replace(
            data, semantics=vectors.to(data.device), soft=soft.to(data.device), semantics_source="permuted"
        )
        markets[name] = dealt_out
    return markets
