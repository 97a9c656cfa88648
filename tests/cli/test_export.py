from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.serving.market_model import load_market_model

Command = Callable[..., int]


def test_an_export_can_be_used_without_the_market(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "handed-on"
    assert command("export", str(model_folder), "--out", str(out)) == 0
    assert capsys.readouterr().out.startswith(f"{out / 'MODEL_CARD.md'}: read it")
    item = load_market_model(out).catalogue.items.item_ids[0]
    (tmp_path / "new.csv").write_text(f"user,item\nzoe,{item}\n")
    assert command("recommend", str(out), "--histories", str(tmp_path / "new.csv"), "--k", "3") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert command("evaluate", str(out)) == 2
    assert "does not say where the market's data are (give --data)" in capsys.readouterr().err


def test_a_folder_in_use_is_refused(
    command: Command, capsys: pytest.CaptureFixture[str], model_folder: Path
) -> None:
    assert command("export", str(model_folder), "--out", str(model_folder)) == 2
    assert "holds something already" in capsys.readouterr().err
    load_market_model(model_folder)
