"""`fecosr recommend`: the best items of each user, by external ids, into a file."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fecosr.cli.progress import progress_bar
from fecosr.errors import ConfigError
from fecosr.recommender.semantics import EmbeddingAccess
from fecosr.serving.histories import Histories, given_users, read_history_file, read_market_histories
from fecosr.serving.market_data import data_settings
from fecosr.serving.market_model import ServedModel, load_market_model
from fecosr.serving.new_items import read_new_items, with_new_items
from fecosr.serving.recommendations import check_out, recommend, write_file, write_stream


@dataclass(frozen=True, slots=True)
class Wish:
    """Say what to recommend to whom, as the command line says it.

    Attributes:
        data: the market's data, where they are not where the model says.
        users: ids, or files of ids; empty is everybody.
        histories: a file of histories instead of the market's data.
        new_items: a file of items that came after the training.
        embedding: the text model, file of vectors or sum of sketches for them, whichever the model was
            trained with.
        k: most items of a user.
        keep_seen: recommend also what a user has bought.
        out: .parquet or .csv; None is standard output.
    """

    data: Path | None
    users: Sequence[str]
    histories: Path | None
    new_items: Path | None
    embedding: Path | None
    k: int
    keep_seen: bool
    out: Path | None


def print_recommendations(model_folder: Path, wish: Wish) -> None:
    """Recommend, write the file, and say on standard error what was left out."""
    if wish.histories is not None and (wish.data is not None or wish.users):
        raise ConfigError("--histories stands in for --data and --users", remedy="give one or the other")
    if wish.out is not None:
        check_out(wish.out)
    served = load_market_model(model_folder)
    remarks = []
    if wish.new_items is not None:
        access = EmbeddingAccess(wish.embedding)
        served, known = with_new_items(served, read_new_items(wish.new_items), access)
        remarks += [f"{known} of the new items are in the catalogue already; they stay as they are"] * bool(
            known
        )
    torch.set_num_threads(served.facts.software.num_threads)
    users = given_users(wish.users)
    histories = _histories(served, wish, users)
    remarks += [*_skipped(histories, len(users)), *_cold(served)]
    with progress_bar("recommending", len(histories.user_ids)) as advance:
        blocks = recommend(served, histories, wish.k, keep_seen=wish.keep_seen, advance=advance)
        num_rows = write_stream(blocks, sys.stdout) if wish.out is None else write_file(blocks, wish.out)
    where = "" if wish.out is None else f": {wish.out}"
    for line in (*remarks, f"{num_rows} recommendations for {len(histories.user_ids)} users{where}"):
        sys.stderr.write(f"{line}\n")


def _histories(served: ServedModel, wish: Wish, users: Sequence[str]) -> Histories:
    catalogue = served.catalogue.items
    if wish.histories is not None:
        return read_history_file(wish.histories, catalogue)
    if wish.users and not users:
        raise ConfigError("names no user", remedy="write one id in each line", source="--users")
    settings = data_settings(served.facts, wish.data)
    return read_market_histories(settings, catalogue, users if wish.users else None)


def _skipped(histories: Histories, num_given: int) -> Iterator[str]:
    found = len(histories.user_ids) + histories.users_without_history
    if num_given > found:
        yield f"{num_given - found} of the {num_given} given users are not in the market's data"
    if histories.unknown_interactions:
        yield (
            f"skipped {histories.unknown_interactions} interactions with {histories.unknown_items} items "
            "the model does not know"
        )
    if histories.users_without_history:
        yield f"skipped {histories.users_without_history} users: the model knows nothing they did"


def _cold(served: ServedModel) -> Iterator[str]:
    semantics = served.facts.semantics
    left_out = int((~served.meaningful()).sum())
    if left_out:
        reason = "they have no title" if semantics.has_text else f"vectors are made from {semantics.source}"
        if semantics.kind == "behaviour":
            reason = "no user of any market has them together with others"
        yield f"{left_out} items without training interactions are not recommended: {reason}"
