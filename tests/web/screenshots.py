"""Write the pictures of the dashboard that the documentation shows; run by scripts/screenshots."""

import subprocess
import sys
import tempfile
from pathlib import Path

from fecosr.ids import COORDINATOR
from tests.reference.browser import browser
from tests.reference.real_federation import PLAN, RealFederation

ROUNDS = 20
PICTURED = 14


def main(out: Path) -> None:
    plan = {**PLAN, "run": {"name": "spring", "rounds": ROUNDS, "seed": 3}}
    with (
        tempfile.TemporaryDirectory() as folder,
        RealFederation(Path(folder), plan) as federation,
        browser() as chromium,
    ):
        federation.start()
        federation.wait_for(COORDINATOR, "web_ready")
        federation.wait_for(COORDINATOR, "round_opened", lambda line: line.whole("round") == PICTURED)
        federation.pause("beta")
        federation.wait_for("delta", "phase_started", lambda line: line.whole("round") == PICTURED)
        audit = federation.folder / "kits" / COORDINATOR / "audit.json"
        run = federation.folder / "run"
        roster = federation.folder / "kits" / COORDINATOR / "roster.toml"
        command = "from fecosr.cli.app import main; main()"
        arguments = ["audit", str(run), "--roster", str(roster), "--out", str(audit)]
        subprocess.run([sys.executable, "-c", command, *arguments], check=False, capture_output=True)
        chromium.size(1100, 1250)
        for scheme in ("light", "dark"):
            chromium.scheme(scheme)
            chromium.open(federation.web[COORDINATOR], federation.token(COORDINATOR))
            chromium.picture(out / f"dashboard-{scheme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
