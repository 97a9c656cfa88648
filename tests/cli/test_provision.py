"""The steps of provisioning as an operator types them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fecosr.cli import app as cli
from fecosr.config.parties import load_node

FOUNDING = """\
[coordinator]
address = "localhost:7443"

[plan]
run = { name = "spring", rounds = 2, seed = 7 }
cohort = { n_min = 2, max_colluding = 0 }
privacy = { mode = "none" }
aggregation = { clip_norm = 5.0 }
semantics = { dimension = 16 }
encoder = { dimension = 8, num_blocks = 1, feed_forward_dimension = 8, projector_dimension = 8 }
"""

Provision = Callable[..., tuple[int, str]]


@pytest.fixture
def provision(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Provision:
    """Run one step in a folder of its own; return its exit code and all it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fecosr", "provision", *arguments])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        said = capsys.readouterr()
        return int(exited.value.code or 0), said.out + said.err

    return run


def after(label: str, said: str) -> str:
    """Return what stands after `label` in a line of what was said."""
    return next(line.removeprefix(label).strip() for line in said.splitlines() if line.startswith(label))


@pytest.fixture
def fingerprint(provision: Provision, tmp_path: Path) -> str:
    (tmp_path / "founding.toml").write_text(FOUNDING)
    code, said = provision("authority", "founding.toml", "--out", "ca")
    assert code == 0, said
    return after("CA fingerprint:", said)


def enrol(provision: Provision, party: str, fingerprint: str) -> None:
    code, said = provision("request", party, "--ca-fingerprint", fingerprint, "--out", party)
    assert code == 0, said
    confirmed = after("request fingerprint:", said)
    request = f"{party}/pending/request.json"
    code, said = provision("approve", request, "--authority", "ca")
    assert code == 2
    assert confirmed not in said, "what must be asked for on the phone is not shown"
    code, said = provision("approve", request, "--authority", "ca", "--fingerprint", confirmed.lower())
    assert code == 0, said


def test_the_whole_way_of_three_parties_whose_keys_stay_at_home(
    provision: Provision, fingerprint: str, tmp_path: Path
) -> None:
    parties = ("coordinator", "fr", "uk")
    for party in parties:
        enrol(provision, party, fingerprint)
    for party in parties:
        code, said = provision("package", party, "--authority", "ca", "--out", f"{party}.fecosr-kit")
        assert code == 0, said
        assert after("CA fingerprint:", said) == fingerprint
        code, said = provision("accept", party, f"{party}.fecosr-kit", "--data-path", "/data/own.csv")
        assert code == 0, said
    assert load_node(tmp_path / "fr" / "node.toml").data.path == "/data/own.csv"
    assert (tmp_path / "coordinator" / "initial_model.safetensors").is_file()

    code, said = provision("rotate", "fr")
    assert code == 0, said
    code, said = provision("revoke", "fr", "--authority", "ca")
    assert code == 0, said
    assert "fr: 1 certificate revoked" in said
    code, said = provision("approve", "fr/pending/request.json", "--authority", "ca")
    assert code == 2, "a revoked identity does not come back by itself"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["request", "FR", "--ca-fingerprint", "00" * 32, "--out", "x"], "is not a market name"),
        (["request", "fr", "--ca-fingerprint", "00" * 31, "--out", "x"], "is not a SHA-256 fingerprint"),
        (["request", "fr", "--ca-fingerprint", "no", "--out", "x"], "is not a SHA-256 fingerprint"),
        (["rotate", "."], "holds neither coordinator.toml nor node.toml"),
        (["approve", "absent.json", "--authority", "."], "absent.json: cannot be read"),
        (["package", "fr", "--authority", ".", "--out", "x"], "is not an authority's folder"),
        (["accept", ".", "absent"], "absent: cannot be read"),
        (["revoke", "fr", "--authority", "."], "is not an authority's folder"),
        (["absent.toml", "--out", "x"], "absent.toml: cannot be read"),
        (["--out", "x", "absent.toml"], "absent.toml: cannot be read"),
        (["authority", "absent.toml", "--out", "x"], "absent.toml: cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(
    provision: Provision, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    code, said = provision(*arguments)
    assert code == 2, said
    assert complaint in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_founding_file_names_no_markets(provision: Provision, tmp_path: Path) -> None:
    (tmp_path / "founding.toml").write_text(FOUNDING + "[[markets]]\nname = 'fr'\n")
    code, said = provision("authority", "founding.toml", "--out", "ca")
    assert (code, (tmp_path / "ca").exists()) == (2, False)
    assert "markets: unknown key" in said


def test_an_unknown_kind_of_data_is_refused(provision: Provision, fingerprint: str, tmp_path: Path) -> None:
    for party in ("coordinator", "fr", "uk"):
        enrol(provision, party, fingerprint)
    assert provision("package", "fr", "--authority", "ca", "--out", "fr.fecosr-kit")[0] == 0
    code, said = provision("accept", "fr", "fr.fecosr-kit", "--data-kind", "excel")
    assert code == 2
    assert "kind" in said
    assert not (tmp_path / "fr" / "node.toml").exists()
    code, said = provision("package", "fr", "--authority", "ca", "--out", "fr.fecosr-kit")
    assert (code, "is there already" in said) == (2, True)
