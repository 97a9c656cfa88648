"""Train every round again from the model it started from, and compare its sum with the one that was opened.

A sum that counts somebody twice, leaves a survivor out, or is of another round, is off by whole updates. What
is left of an honest one is stochastic rounding: less than one unit for each survivor in each coordinate.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from fecosr.audit.server_steps import ReleasedRound, releases
from fecosr.data.sequences import load_market
from fecosr.federation.aggregation import Vector, weight_of
from fecosr.federation.contents import update_encoding
from fecosr.federation.recorded import manifest_from
from fecosr.harness.scenario import Scenario
from fecosr.ids import COORDINATOR
from fecosr.ledger.log import decode_entry
from fecosr.ledger.records import SketchReleased
from fecosr.privacy.clipping import clip
from fecosr.recommender.semantics import EmbeddingAccess
from fecosr.secagg.encoding import UpdateEncoding
from fecosr.storage.parameters import read_parameters
from fecosr.storage.sums import read_sum, sum_path
from fecosr.training.market import MarketLearner
from fecosr.training.sketch import sketch_of_market

FLOAT_SLACK: Final = 1e-6
"""Sums are decoded to float32; relative to the largest coordinate."""


def wrong_sums(scenario: Scenario, out: Path) -> Sequence[str]:
    """Return one line for each released round whose sum is not that of its survivors' updates.

    The run folder has passed the audit: which sum and which model belong to a round is certain.
    """
    lines = (out / COORDINATOR / "ledger.jsonl").read_bytes().splitlines()
    entries = [decode_entry(line, place) for place, line in enumerate(lines)]
    sketched = next((entry.body for entry in entries if isinstance(entry.body, SketchReleased)), None)
    sketch, wrong_sketch = _sketch(scenario, out / COORDINATOR, sketched)
    learners = {market.name: _learner(scenario, market.name, sketch) for market in scenario.markets}
    return [
        *wrong_sketch,
        *(
            complaint
            for release in releases(entries)
            for complaint in _complaints(scenario, out / COORDINATOR, release, learners)
        ),
    ]


def _sketch(
    scenario: Scenario, folder: Path, released: SketchReleased | None
) -> tuple[Vector | None, Sequence[str]]:
    """Return the released sum of sketches, if there is one, and what is wrong with it."""
    terms = scenario.plan.sketch_terms()
    if released is None or terms is None:
        return None, ()
    sketch = read_parameters(folder / "sketch" / f"{released.sketch_hash.hex()}.safetensors")
    expected = np.zeros(terms.length)  # [B * Z]
    for market in (it for it in scenario.markets if it.name in released.survivors):
        own = sketch_of_market(load_market(market.data), scenario.plan.semantics)
        expected += clip(own, terms.norm).astype(np.float64)
    scale = UpdateEncoding(terms.length, terms.norm, len(scenario.markets), max_loss=1.0).update_scale
    allowed = len(released.survivors) / scale + FLOAT_SLACK * float(np.abs(expected).max(initial=0.0))
    worst = float(np.abs(sketch - expected).max(initial=0.0))
    if worst > allowed:
        wrong = f"the sum of sketches is off by {worst:.3g}, more than the {allowed:.3g} of rounding"
        return sketch, (wrong,)
    return sketch, ()


def _complaints(
    scenario: Scenario, folder: Path, release: ReleasedRound, learners: dict[str, MarketLearner]
) -> Iterator[str]:
    body, plan = release.body, scenario.plan.federation()
    encoding = update_encoding(manifest_from(release.manifest), plan)
    model = read_parameters(folder / "models" / f"{body.model_in.hex()}.safetensors")
    opened = encoding.decode(read_sum(sum_path(folder / "sums", body.total_hash)), len(body.survivors))
    expected, weights = np.zeros(len(model)), 0.0  # [P]
    for name in body.survivors:
        update, weight = _contribution(scenario, learners[name], model, body.round)
        expected += weight * update.astype(np.float64)
        weights += weight
    slack = FLOAT_SLACK * float(np.abs(expected).max(initial=0.0))
    allowed = len(body.survivors) / encoding.update_scale + slack
    worst = float(np.abs(opened.update_sum - expected).max(initial=0.0))
    if worst > allowed:
        yield f"round {body.round} is off by {worst:.3g}, more than the {allowed:.3g} of rounding"
    if abs(opened.weight - weights) > len(body.survivors) / encoding.weight_scale:
        yield f"round {body.round} has the weight {opened.weight:g} instead of {weights:g}"


def _contribution(
    scenario: Scenario, learner: MarketLearner, model: Vector, round_number: int
) -> tuple[Vector, float]:
    aggregation = scenario.plan.aggregation
    result = learner.train_round(model, round_number)
    weight = weight_of(
        result.num_users,
        reference_num_users=aggregation.reference_num_users,
        exponent=aggregation.weight_exponent,
    )
    return clip(result.update, aggregation.update_bound()), weight


def _learner(scenario: Scenario, name: str, sketch: Vector | None) -> MarketLearner:
    plan = scenario.plan
    market = next(it for it in scenario.markets if it.name == name)
    torch.set_num_threads(market.num_threads)
    return MarketLearner(
        load_market(market.data),
        plan.learning(market.report.local_training),
        seed=plan.run.seed,
        device=market.device,
        sketches=sketch,
        access=EmbeddingAccess(market.embedding_path),
    )
