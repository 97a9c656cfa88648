"""Settings of a comparison have the names and the rules that they have in a plan."""

from pathlib import Path

import pytest

from fecosr.config.toml import load
from fecosr.data.settings import DataKind, DataSettings
from fecosr.errors import ConfigError
from fecosr.harness.compare.settings import ComparisonSettings, settings_for
from fecosr.training.settings import LearningSettings, LocalBaselineSettings


def test_without_a_file_they_are_those_of_a_market_node() -> None:
    assert ComparisonSettings().learning(LocalBaselineSettings()) == LearningSettings()
    assert ComparisonSettings().local_baseline == LocalBaselineSettings()


def test_sections_are_those_of_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("rounds = 7\n[encoder]\ndimension = 32\n[aggregation]\nclip_norm = 3.0\n[rivals]\n")
    settings = load(path, ComparisonSettings)
    assert (settings.rounds, settings.encoder.dimension, settings.aggregation.clip_norm) == (7, 32, 3.0)
    assert settings.learning(settings.local_baseline).encoder is settings.encoder


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rounds = 0", r"settings\.toml:1: rounds: .*greater than or equal to 1"),
        ("[encoder]\ndepth = 3", r"settings\.toml:2: encoder\.depth: unknown key"),
        ("[rivals]\nlabel_smoothing = 1.0", r"settings\.toml:2: rivals\.label_smoothing"),
        ("rounds = 3\n[early_stopping]\npatience = 2\nmin_rounds = 4", "at least early_stopping.min_rounds"),
        ("[s2ce]\nalpha = 2.0", r"settings\.toml:1: s2ce: alpha must be in 0 \.\. 1"),
    ],
)
def test_bad_settings_are_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load(path, ComparisonSettings)


@pytest.mark.parametrize(
    ("kinds", "kind"), [(("xmarket", "sequences"), "behaviour"), (("xmarket", "csv"), "hashed_ngrams")]
)
def test_markets_without_titles_are_told_by_what_users_do(kinds: tuple[DataKind, ...], kind: str) -> None:
    markets = tuple((f"m{number}", DataSettings(kind=kind, path="x")) for number, kind in enumerate(kinds))
    chosen = settings_for(markets)
    assert chosen.semantics.kind == kind
    assert (chosen == ComparisonSettings()) == (kind == "hashed_ngrams")
