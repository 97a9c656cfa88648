import numpy as np

from fecosr.training.baselines.plain_fine_tuning import fine_tune_shared
from fecosr.training.evaluation import evaluate
from fecosr.training.parameters import flatten, initial_shared_vector, load_into, new_shared_model
from fecosr.training.prepared import PreparedMarket
from fecosr.training.settings import FineTuningSettings, LearningSettings


def test_it_is_at_least_as_good_as_the_shared_model_on_validation_users(
    prepared: PreparedMarket, settings: LearningSettings
) -> None:
    shared = initial_shared_vector(settings.encoder, settings.semantics, 7)
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    load_into(model, shared)
    before = evaluate(model, prepared, "validation").ndcg_10
    fast = FineTuningSettings(
        max_epochs=6, patience=2, batch_size=16, encoder="frozen", encoder_learning_rate=0.02
    )
    tuned = fine_tune_shared(model, shared, prepared, fast, seed=1)
    assert evaluate(tuned, prepared, "validation").ndcg_10 > before
    # "frozen" is about what stands under an adapter; here there is nothing else to train.
    assert not np.array_equal(flatten(tuned), shared)


def test_no_epoch_leaves_the_shared_model(prepared: PreparedMarket, settings: LearningSettings) -> None:
    shared = initial_shared_vector(settings.encoder, settings.semantics, 7)
    model = new_shared_model(settings.encoder, settings.semantics, seed=99)
    tuned = fine_tune_shared(model, shared, prepared, FineTuningSettings(max_epochs=0), seed=1)
    np.testing.assert_array_equal(flatten(tuned), shared)
