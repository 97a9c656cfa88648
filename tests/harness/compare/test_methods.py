"""Every method learns something, and is what its paper says it is."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from fecosr.data.sequences import MarketSequences
from fecosr.harness.compare.cells import FILTERED, VALIDATION, CellResult, run_cell
from fecosr.harness.compare.method import Method
from fecosr.harness.compare.methods.centralised import in_market, train_pooled
from fecosr.harness.compare.methods.ditto import Personal
from fecosr.harness.compare.methods.fedavg import FedAvgCE
from fecosr.harness.compare.methods.fedprox import FedProxFineTuned
from fecosr.harness.compare.methods.fedrep import FedRep, market_models
from fecosr.harness.compare.methods.label_smoothing import LabelSmoothingFineTuned
from fecosr.harness.compare.methods.permuted import permuted_markets
from fecosr.harness.compare.methods.transfer import OneToOneTransfer
from fecosr.harness.compare.pooling import pooled_market, scorer_in_market, union_catalogue
from fecosr.harness.compare.pretraining import new_model, pretrain
from fecosr.harness.compare.registry import EPSILONS, METHODS
from fecosr.harness.compare.settings import ComparisonSettings, RivalSection
from fecosr.harness.compare.statistics import gains
from fecosr.harness.compare.study import StagesInMemory, Study, prepare_study
from fecosr.training.evaluation import model_scorer
from fecosr.training.settings import FineTuningSettings, LocalBaselineSettings

# The noise of three small markets drowns their shared model; what they make of it at home still has to learn.
NO_CONTENDERS = {
    "popularity",
    "fecosr-permuted",
    *(f"fecosr-epsilon-{epsilon}-no-ft" for epsilon in EPSILONS),
}
LEARNERS = [method for method in METHODS if method.name not in NO_CONTENDERS]


@pytest.fixture(scope="module")
def learning(sequences: Mapping[str, MarketSequences]) -> Study:
    """Return a study in which there is time to learn; stages and all are shared by the tests of this file."""
    settings = ComparisonSettings.model_validate(
        {
            "rounds": 12,
            "aggregation": {"clip_norm": 10.0, "reference_num_users": 200},
            "semantics": {"dimension": 32, "buckets": 1024},
            "encoder": {
                "dimension": 16,
                "num_blocks": 1,
                "feed_forward_dimension": 16,
                "projector_dimension": 16,
                "max_length": 12,
                "dropout": 0.1,
            },
            "s2ce": {"num_neighbours": 4},
            "local_training": {"batch_size": 16, "learning_rate": 0.01},
            "adapter": {"bottleneck": 4, "ridge": 10.0},
            "fine_tuning": {
                "max_epochs": 6,
                "batch_size": 16,
                "learning_rate": 0.005,
                "encoder_learning_rate": 0.002,
            },
            "local_baseline": {"max_epochs": 12, "batch_size": 16, "learning_rate": 0.01},
            "private": {"rounds": 2},
        }
    )
    return prepare_study(sequences, settings, seed=1)


@pytest.fixture(scope="module")
def popularity(learning: Study) -> CellResult:
    return run_cell(METHODS[0], learning)


def macro_ndcg(result: CellResult) -> float:
    return float(np.mean([gains(columns[FILTERED])[:, 1].mean() for columns in result.ranks.values()]))


@pytest.mark.parametrize("method", LEARNERS, ids=lambda method: method.name)
def test_every_method_learns_more_than_popularity(
    method: Method, learning: Study, popularity: CellResult
) -> None:
    result = run_cell(method, learning)
    assert macro_ndcg(result) > macro_ndcg(popularity) + 0.01
    assert bool(result.rounds) == (method.name in FEDERATED)
    assert [len(columns[VALIDATION]) for columns in result.ranks.values()] == [200, 120, 80]


@pytest.mark.parametrize("method", LEARNERS, ids=lambda method: method.name)
def test_a_seed_decides_everything(method: Method, study: Study) -> None:
    """Nothing is left to the state that somebody else left torch's own generator in."""
    first = run_cell(method, replace(study, stages=StagesInMemory()))
    torch.rand(7)
    again = run_cell(method, replace(study, stages=StagesInMemory()))
    for name, columns in first.ranks.items():
        np.testing.assert_array_equal(columns[FILTERED], again.ranks[name][FILTERED])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_method_trains_on_a_gpu(
    method: Method, sequences: Mapping[str, MarketSequences], settings: ComparisonSettings
) -> None:
    on_cpu, on_gpu = (
        run_cell(method, prepare_study(sequences, settings, seed=5, device=device))
        for device in ("cpu", "cuda")
    )
    assert macro_ndcg(on_gpu) == pytest.approx(macro_ndcg(on_cpu), abs=0.05)


def test_models_stand_where_the_markets_of_a_study_do(study: Study) -> None:
    """The meta device computes nothing, but it is not the processor."""
    meta = torch.device("meta")
    union = union_catalogue(study)
    pooled = train_pooled(study, union)
    moved = replace(study, markets={name: data.on(meta) for name, data in study.markets.items()})
    models = [
        new_model(moved),
        *market_models(moved).values(),
        in_market(moved, pooled, union, moved.largest),
    ]
    assert {value.device for model in models for value in model.parameters()} == {meta}
    assert pooled_market(moved, union).device == meta


FEDERATED = {
    "fedavg-ce",
    "fedavg-ce-ft",
    "fedprox-ft",
    "label-smoothing-ft",
    "fedrep",
    "ditto",
    "fecosr",
    "fecosr-no-adapter",
    "fecosr-no-ft",
    "fecosr-no-regression",
}


def test_permuted_semantics_are_worse_than_true_ones(learning: Study) -> None:
    # The regression of items on items reads no semantics and would make up for what is missing.
    plain = replace(learning.settings.adapter, item_regression="none")
    alone = replace(learning, settings=learning.settings.model_copy(update={"adapter": plain}))
    by_name = {method.name: method for method in METHODS}
    true, permuted = (run_cell(by_name[name], alone) for name in ("fecosr", "fecosr-permuted"))
    assert macro_ndcg(permuted) < macro_ndcg(true) - 0.02


def with_rivals(study: Study, **changes: float) -> Study:
    settings = study.settings.model_copy(update={"rivals": RivalSection.model_validate(changes)})
    return replace(study, settings=settings, stages=StagesInMemory())


def test_fedprox_without_its_term_is_fedavg(study: Study) -> None:
    plain = pretrain(study, FedAvgCE.stage, loss="ce").parameters
    free, held = with_rivals(study, fedprox_strength=0.0), with_rivals(study, fedprox_strength=10.0)
    for chosen, is_fedavg in ((free, True), (held, False)):
        FedProxFineTuned().train(chosen)
        found = chosen.stages.pretrained(FedProxFineTuned.stage, pytest.fail).parameters
        assert np.array_equal(found, plain) == is_fedavg


def test_label_smoothing_by_nothing_is_fedavg(study: Study) -> None:
    plain = pretrain(study, FedAvgCE.stage, loss="ce").parameters
    for smoothing in (0.0, 0.2):
        chosen = with_rivals(study, label_smoothing=smoothing)
        LabelSmoothingFineTuned().train(chosen)
        found = chosen.stages.pretrained(LabelSmoothingFineTuned.stage, pytest.fail).parameters
        assert np.array_equal(found, plain) == (smoothing == 0.0)


def test_soft_targets_without_alpha_are_cross_entropy(
    sequences: Mapping[str, MarketSequences], settings: ComparisonSettings
) -> None:
    hard = settings.model_copy(update={"s2ce": replace(settings.s2ce, alpha=0.0)})
    study = prepare_study(sequences, hard, seed=3)
    soft, plain = pretrain(study, "soft", loss="s2ce"), pretrain(study, "plain", loss="ce")
    np.testing.assert_array_equal(soft.parameters, plain.parameters)


def test_methods_of_one_stage_pretrain_once(study: Study) -> None:
    told: list[str] = []
    counting = replace(study, advance=lambda activity, *_: told.append(activity))
    for name in ("fecosr", "fecosr-no-adapter", "fecosr-no-ft"):
        next(method for method in METHODS if method.name == name).train(counting)
    assert told.count("rounds") == study.settings.rounds


def test_fedrep_shares_the_representation_and_keeps_the_heads(study: Study) -> None:
    settings = study.settings.model_copy(
        update={"fine_tuning": FineTuningSettings(max_epochs=0), "rounds": 1}
    )
    chosen = replace(study, settings=settings)
    trained = FedRep().train(chosen)
    models = market_models(chosen)
    assert all(
        torch.equal(models["big"].shared.projector.output.weight, model.shared.projector.output.weight)
        for model in models.values()
    )
    # The same history of shared items is scored differently: the representation is one, the heads are three.
    history = np.array([0, 1, 2], np.int32)
    assert not np.allclose(
        trained.scorers["middle"]([history])[0, :20], trained.scorers["small"]([history])[0, :20]
    )


def test_a_personal_model_is_remembered_as_it_was_when_it_was_best(study: Study) -> None:
    model, data = market_models(study)["small"], study.markets["small"]
    personal = Personal(model)
    personal.remember_if_best(data)
    best = model.adapter.gate.detach().clone()
    with torch.no_grad():
        model.adapter.local_items.normal_(std=100.0)
        model.adapter.gate.fill_(2.0)
    personal.best_ndcg = 1.0
    personal.remember_if_best(data)
    assert torch.equal(personal.best().adapter.gate, best)


def test_transfer_leaves_the_source_with_what_it_trained_alone(study: Study) -> None:
    local = next(method for method in METHODS if method.name == "local-semantic").train(study)
    trained = OneToOneTransfer().train(study)
    histories = list(study.markets["big"].split.train[:5])
    np.testing.assert_array_equal(trained.scorers["big"](histories), local.scorers["big"](histories))
    histories = list(study.markets["small"].split.train[:5])
    assert not np.allclose(trained.scorers["small"](histories), local.scorers["small"](histories))


def test_the_permutation_is_one_for_all_markets_and_keeps_every_vector(study: Study) -> None:
    union = union_catalogue(study)
    permuted = permuted_markets(study)
    dealt = torch.full_like(union.semantics, torch.nan)
    for name, data in permuted.items():
        places = torch.from_numpy(union.rows[name])
        known = ~dealt[places].isnan().any(dim=1)
        assert torch.equal(dealt[places][known], data.semantics[known])
        dealt[places] = data.semantics
        assert not torch.equal(data.semantics, study.markets[name].semantics)
        assert not torch.equal(data.soft.shares, study.markets[name].soft.shares)
        assert data.split is study.markets[name].split

    def rows_of(vectors: torch.Tensor) -> list[list[float]]:
        ordered: list[list[float]] = sorted(vectors.tolist())
        return ordered

    assert rows_of(dealt) == rows_of(union.semantics)
    assert (dealt == union.semantics).all(dim=1).float().mean() < 0.2


def test_another_seed_is_another_permutation(study: Study) -> None:
    first, second = permuted_markets(study)["big"], permuted_markets(replace(study, seed=6))["big"]
    assert not torch.equal(first.semantics, second.semantics)
    again = permuted_markets(study)["big"]
    assert torch.equal(first.semantics, again.semantics)


def test_the_pool_holds_everybody_under_the_numbers_of_the_union(study: Study) -> None:
    union = union_catalogue(study)
    pool = pooled_market(study, union)
    assert list(union.item_ids) == sorted(set().union(*(c.item_ids for c in study.catalogues.values())))
    user = 0
    for name, data in study.markets.items():
        item_ids = study.catalogues[name].item_ids
        for place, sequence in enumerate(data.split.train):
            own = [item_ids[item] for item in sequence]
            assert [union.item_ids[item] for item in pool.split.train[user]] == own
            for of_pool, of_market in (
                (pool.split.validation_target, data.split.validation_target),
                (pool.split.test_target, data.split.test_target),
            ):
                assert union.item_ids[of_pool[user]] == item_ids[of_market[place]]
            user += 1
    assert user == len(pool.split.train) == 400
    for name, data in study.markets.items():
        vectors = union.semantics[torch.from_numpy(union.rows[name])]
        # Titles of a shared item differ between markets; the largest market's counts.
        same = (vectors == data.semantics).all(dim=1)
        assert same.all() if name == "big" else same.any()


def test_the_pooled_model_scores_in_a_market_what_it_scores_in_the_pool(study: Study) -> None:
    short = LocalBaselineSettings(max_epochs=1, batch_size=16, learning_rate=0.01)
    chosen = replace(study, settings=study.settings.model_copy(update={"local_baseline": short}))
    union = union_catalogue(chosen)
    pooled = train_pooled(chosen, union)
    rows = union.rows["small"]
    histories = list(chosen.markets["small"].split.train[:4])
    inside = scorer_in_market(model_scorer(pooled, pooled_market(chosen, union)), rows)(histories)
    data = replace(chosen.markets["small"], semantics=union.semantics[torch.from_numpy(rows)])
    copied = model_scorer(in_market(chosen, pooled, union, "small"), data)(histories)
    np.testing.assert_allclose(copied, inside, atol=1e-5)
