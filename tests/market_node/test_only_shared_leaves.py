"""No tensor outside the list of shared parameters is ever encoded: whole rounds, looked at where masks begin.

Everything that leaves a market in a round goes through `secagg.begin`, which masks it. Here that is listened
to: the vector is decoded again, and compared with every tensor of the market's own that is in the process.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import structlog

from fecosr.config.parties import NodeConfig
from fecosr.config.plan import Plan
from fecosr.crypto.prg import BLOCK_ELEMENTS
from fecosr.data.sequences import MarketSequences, load_market
from fecosr.data.settings import DataSettings, SyntheticSettings
from fecosr.errors import ConfigError, MisuseError
from fecosr.federation.contents import update_encoding
from fecosr.federation.contribution import LocalUpdate, Trained
from fecosr.federation.messages import RoundManifest
from fecosr.federation.plan import FederationPlan
from fecosr.federation.policy import NodePolicy
from fecosr.federation.run import run_federation
from fecosr.ids import NodeId
from fecosr.recommender.semantics import NO_ACCESS
from fecosr.recommender.settings import EncoderSettings
from fecosr.secagg import client as secagg
from fecosr.secagg.masking import Summand
from fecosr.secagg.parameters import SecAggParameters
from fecosr.training.fine_tuning import FineTuned
from fecosr.training.market import MarketLearner
from fecosr.training.parameters import initial_shared_vector, load_into, new_shared_model
from market_node.learning import MarketTrainer, new_learner
from tests.reference.small_federation import SmallFederation

ISLE = NodeId("isle")
SHARED = frozenset(
    {
        "encoder.positions",
        "encoder.blocks.0.attention_norm.weight",
        "encoder.blocks.0.attention_norm.bias",
        "encoder.blocks.0.query_key_value.weight",
        "encoder.blocks.0.query_key_value.bias",
        "encoder.blocks.0.attention_output.weight",
        "encoder.blocks.0.attention_output.bias",
        "encoder.blocks.0.feed_forward_norm.weight",
        "encoder.blocks.0.feed_forward_norm.bias",
        "encoder.blocks.0.feed_forward.0.weight",
        "encoder.blocks.0.feed_forward.0.bias",
        "encoder.blocks.0.feed_forward.2.weight",
        "encoder.blocks.0.feed_forward.2.bias",
        "encoder.final_norm.weight",
        "encoder.final_norm.bias",
        "projector.hidden.weight",
        "projector.hidden.bias",
        "projector.output.weight",
        "projector.output.bias",
    }
)
"""The list; a parameter that is new in the model has to be added here by somebody who means it."""

ENCODER = EncoderSettings(
    dimension=8, num_blocks=1, num_heads=1, feed_forward_dimension=8, projector_dimension=8
)
PLAN = Plan.model_validate(
    {
        "run": {"name": "test", "rounds": 2, "seed": 1},
        "cohort": {"n_min": 3, "max_colluding": 1},
        "privacy": {"mode": "none"},
        "aggregation": {"clip_norm": 10.0},
        "encoder": ENCODER,
        "local_training": {"epochs": 2},
        "fine_tuning": {"max_epochs": 2},
    }
)
SYNTHETIC = SyntheticSettings(num_users=40, num_items=64, num_categories=4, num_topics=2)
CONFIG = NodeConfig(
    market=ISLE,
    coordinator="localhost:7443",
    data=DataSettings(kind="synthetic", market=ISLE, min_core=1, synthetic=SYNTHETIC),
    policy=NodePolicy(n_min=3, max_colluding=1, max_rounds=3, max_clip_norm=10.0),
)
INITIAL = initial_shared_vector(PLAN.encoder, PLAN.semantics, seed=1)
UNIT = 1e-6
"""Rounding moves an encoded number by less."""

Vector = npt.NDArray[np.float32]
Tamper = Callable[[Vector], Vector]


@dataclass
class Encoded:
    """Hold what one market handed to the masks in one round, and what it had to begin with."""

    received: Vector
    decoded: Vector


@dataclass
class Market:
    """Be the market that is looked at, with everything of its own that a node ever has in its process."""

    learner: MarketLearner
    tuned: FineTuned | None
    given: list[tuple[RoundManifest, Vector]] = field(default_factory=list)

    def own(self) -> Iterator[tuple[str, Vector]]:
        """Yield every tensor that must stay: adapter, gates, item table, regression, semantics, its copy."""
        yield "semantics", self.learner.data.semantics.numpy()
        if self.tuned is not None:
            model = self.tuned.model
            for name, tensor in (*model.named_parameters(), *model.named_buffers()):
                yield name, tensor.detach().numpy()

    def train(self, manifest: RoundManifest, parameters: Vector, tamper: Tamper) -> Trained:
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        self.given.append((manifest, parameters.copy()))
        trained = MarketTrainer(self.learner, False, log).train(manifest, parameters)
        return replace(trained, update=tamper(trained.update))


@pytest.fixture(scope="module")
def sequences() -> MarketSequences:
    return load_market(CONFIG.data)


@pytest.fixture(scope="module")
def market(sequences: MarketSequences) -> Market:
    """Return a market that has fine-tuned already, so that everything of its own exists beforehand."""
    learner = new_learner(CONFIG, PLAN, sequences, None, NO_ACCESS)
    return Market(learner, learner.fine_tune(INITIAL))


def encoded(
    market: Market, monkeypatch: pytest.MonkeyPatch, tamper: Tamper = lambda update: update
) -> list[Encoded]:
    """Run two rounds of four markets, and return what this one had masked in them."""
    market.given.clear()
    federation = SmallFederation([ISLE, "fr", "jp", "uk"])
    nodes = [federation.node(name, num_parameters=len(INITIAL)) for name in federation.names]
    taken: list[Vector] = []
    begin = secagg.begin

    def train(name: NodeId, manifest: RoundManifest, parameters: Vector) -> Trained:
        if name == ISLE:
            return market.train(manifest, parameters, tamper)
        return LocalUpdate(manifest.model_hash, np.full(len(INITIAL), 1e-3, np.float32), 40, 1.0)

    def listen(parameters: SecAggParameters, me: NodeId, *others: Any) -> Any:
        if me == ISLE:
            taken.append(_in_clear(others[2], market.given[-1][0], federation.plan))
        return begin(parameters, me, *others)

    with monkeypatch.context() as patched:
        patched.setattr(secagg, "begin", listen)
        run_federation(federation.setup, nodes, INITIAL, train, federation.entropy)
    assert len(taken) == federation.plan.rounds
    received = [given for _, given in market.given]
    return [Encoded(*pair) for pair in zip(received, taken, strict=True)]


def _in_clear(vector: Summand, manifest: RoundManifest, plan: FederationPlan) -> Vector:
    """Return the floats that a summand stands for, as a sum of this one alone would be decoded."""
    encoding = update_encoding(manifest, plan)
    ring = np.empty(encoding.length, dtype=np.uint32)
    for start in range(0, encoding.length, BLOCK_ELEMENTS):
        vector.write(start, ring[start : start + BLOCK_ELEMENTS])
    total = encoding.decode(ring, 1)
    return np.asarray(total.update_sum / total.weight, dtype=np.float32)


def found_in(update: Vector, own: Iterator[tuple[str, Vector]]) -> set[str]:
    """Return the names of tensors of which a row, or what is left of it, stands anywhere in `update`."""
    names = set()
    for name, tensor in own:
        rows = tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim else tensor.reshape(1, 1)
        for row in rows[:, : ENCODER.dimension]:
            # A row of zeros, or a single number, stands everywhere.
            if len(row) == ENCODER.dimension and np.abs(row).min() > 10 * UNIT:
                windows = np.lib.stride_tricks.sliding_window_view(update, len(row))
                if (np.abs(windows - row).max(axis=1) < UNIT).any():
                    names.add(name)
    return names


def test_the_list_of_shared_parameters_is_the_one_that_was_meant(market: Market) -> None:
    parts = market.learner.shared_layout.parts
    assert {name for name, _ in parts} == SHARED
    assert market.learner.shared_layout.num_parameters == len(INITIAL)
    assert market.tuned is not None
    local = {name for name, _ in market.tuned.model.named_parameters() if not name.startswith("shared.")}
    assert local, "there is something to keep"


def test_every_number_that_is_encoded_belongs_to_a_shared_parameter(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Received model plus what was encoded is a shared model, and the one that training ends with."""
    for number, found in enumerate(encoded(market, monkeypatch), start=1):
        assert found.decoded.shape == (market.learner.shared_layout.num_parameters,)
        trained = new_shared_model(PLAN.encoder, PLAN.semantics, seed=1)
        load_into(trained, found.received + found.decoded)
        again = market.learner.train_round(found.received, number).update
        np.testing.assert_allclose(found.decoded, again, atol=UNIT)


def test_no_tensor_of_the_markets_own_is_in_it(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    for found in encoded(market, monkeypatch):
        assert found_in(found.decoded, market.own()) == set()


def test_what_the_market_has_of_its_own_changes_no_bit_of_it(
    market: Market, sequences: MarketSequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A market that never fine-tuned anything sends the same as one that has."""
    fresh = Market(new_learner(CONFIG, PLAN, sequences, None, NO_ACCESS), None)
    for one, other in zip(encoded(market, monkeypatch), encoded(fresh, monkeypatch), strict=True):
        np.testing.assert_array_equal(one.decoded, other.decoded)


@pytest.mark.parametrize("wanted", ["semantics", "adapter.local_items", "shared.projector.output.weight"])
def test_the_search_would_find_a_tensor_that_is_smuggled_out(
    market: Market, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    (tensor,) = (tensor for name, tensor in market.own() if name == wanted)
    rows = tensor[np.abs(tensor[:, : ENCODER.dimension]).min(axis=1) > 10 * UNIT]
    smuggled = rows[0, : ENCODER.dimension]

    def tamper(update: Vector) -> Vector:
        changed = update.copy()
        changed[100 : 100 + len(smuggled)] = smuggled
        return changed

    for found in encoded(market, monkeypatch, tamper):
        assert wanted in found_in(found.decoded, market.own())


def test_a_longer_update_is_never_encoded(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MisuseError):
        encoded(market, monkeypatch, lambda update: np.append(update, np.float32(1)))


def test_the_policy_names_what_may_leave(sequences: MarketSequences) -> None:
    silent = replace(CONFIG.policy, parameters=("encoder.*",))
    with pytest.raises(ConfigError, match=r"does not let updates of projector\.hidden\.weight leave"):
        new_learner(CONFIG.model_copy(update={"policy": silent}), PLAN, sequences, None, NO_ACCESS)
    exact = replace(CONFIG.policy, parameters=tuple(sorted(SHARED)))
    new_learner(CONFIG.model_copy(update={"policy": exact}), PLAN, sequences, None, NO_ACCESS)
