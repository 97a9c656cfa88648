"""Full-ranking evaluation of one market: one target per user, ranked against the whole catalogue."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from fecosr.data.sequences import ItemArray
from fecosr.recommender.metrics import RankingMetrics, metrics_of_ranks, target_ranks
from fecosr.recommender.model import SequenceModel
from fecosr.training.prepared import PreparedMarket

Part = Literal["validation", "test"]
Scorer = Callable[[Sequence[ItemArray]], npt.NDArray[np.float32]]
"""Score all items, float32 [B, V], for users with these histories, oldest item first."""

_BLOCK_SCORES = 1 << 22


def evaluate(
    model: SequenceModel, data: PreparedMarket, part: Part, *, history_filtered: bool = True
) -> RankingMetrics:
    """Return the model's metrics on the validation or the test targets of its market.

    Args:
        model: left in the mode (training or not) in which it came.
        data: the market.
        part: "validation" reads the training items; "test" reads the validation target as well.
        history_filtered: leave items the user has already bought out of the ranking.
    """
    return metrics_of_ranks(ranks(model_scorer(model, data), data, part, history_filtered=history_filtered))


def ranks(
    scorer: Scorer, data: PreparedMarket, part: Part, *, history_filtered: bool = True
) -> npt.NDArray[np.int64]:
    """Return the rank of each evaluated user's target, int64 [U], in the order of `split.evaluated_users`."""
    return ranks_of_each(lambda histories: (scorer(histories),), data, part, history_filtered)[0]


def ranks_of_each(
    scorers: Callable[[Sequence[ItemArray]], Sequence[npt.NDArray[np.float32]]],
    data: PreparedMarket,
    part: Part,
    history_filtered: bool = True,
) -> list[npt.NDArray[np.int64]]:
    """Return `ranks` for each of several ways to score, which share what they have in common."""
    users = data.split.evaluated_users
    is_test = part == "test"
    known = data.split.test_histories if is_test else data.split.train
    targets = (data.split.test_target if is_test else data.split.validation_target)[users].astype(np.int64)
    histories = [known[user] for user in users]
    # Users of similar length stand together, so that a block is padded little.
    order = np.argsort([len(history) for history in histories], kind="stable")
    size = max(1, _BLOCK_SCORES // data.num_items)
    blocks = []
    for start in range(0, len(order), size):
        block = order[start : start + size]
        seen = [histories[place] for place in block]
        filtered = seen if history_filtered else None
        blocks.append([target_ranks(scores, targets[block], filtered) for scores in scorers(seen)])
    found = [np.empty(len(users), np.int64) for _ in (blocks[0] if blocks else ((),))]
    for way, values in enumerate(found):
        if blocks:
            values[order] = np.concatenate([block[way] for block in blocks])
    return found


def model_scorer(model: SequenceModel, data: PreparedMarket) -> Scorer:
    """Return a function that scores with the model as it is now."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        items = model.item_inputs(data.semantics)  # [V, D]
    model.train(was_training)

    def score(histories: Sequence[ItemArray]) -> npt.NDArray[np.float32]:
        was_training = model.training
        model.eval()
        with torch.no_grad():
            sequences, lengths = right_padded(histories, model.max_length)
            of_all = model.scores if data.shard is None else partial(data.shard.scores, model)
            found = of_all(items, sequences.to(items.device), lengths.to(items.device))  # [B, V]
            scores: npt.NDArray[np.float32] = found.cpu().numpy()
        model.train(was_training)
        return scores

    return score


def right_padded(histories: Sequence[ItemArray], max_length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the latest items of histories, int64 [B, L], padded on the right, and lengths, int64 [B]."""
    recent = [history[-max_length:] for history in histories]
    padded = np.zeros((len(recent), max(len(items) for items in recent)), np.int64)  # [B, L]
    for row, items in enumerate(recent):
        padded[row, : len(items)] = items
    return torch.from_numpy(padded), torch.tensor([len(items) for items in recent])
