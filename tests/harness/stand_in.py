"""Log what a coordinator or a market node logs in a run of two rounds, without doing any of it.

Coordinator and nodes do not talk: each follows its own script, the coordinator's waits for the reports.
"""

import json
import os
import signal
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

ORDERS = os.environ.get("FECOSR_REHEARSAL", "").split()


def log(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, "level": "info", **fields}), file=sys.stderr, flush=True)  # noqa: T201


def hit(point: str, number: int) -> None:
    if f"{point}@{number}=kill" in ORDERS:
        os.kill(os.getpid(), signal.SIGKILL)
    if f"{point}@{number}=stop" in ORDERS:
        log("failpoint_reached", point=point, round=number)
        os.kill(os.getpid(), signal.SIGSTOP)


def coordinate(config: dict[str, Any], folder: Path, listen: str) -> None:
    nodes = sorted(tomllib.loads((folder / config["roster"]).read_text())["nodes"])
    log("coordinator_ready", asked=listen, port=int(listen.rpartition(":")[2]) or 54321)
    for number in (1, 2):
        hit("share_keys", number)
        lost = ["beta"] if number == 2 else []
        survivors = [name for name in nodes if name not in lost]
        log(
            "round_released",
            round=number,
            attempt=1,
            survivors=survivors,
            dropouts=lost,
            loss=5.0,
            seconds=0.1,
        )
    if "STAND_IN_FAILS" in os.environ:
        signal.pause()
    log("run_completed", rounds=2)
    while not all((Path(config["storage"]).parent / name / "report.json").exists() for name in nodes):
        time.sleep(0.02)
    log("coordinator_stopped", exit_code=0)


def take_part(config: dict[str, Any], coordinator: str) -> None:
    if coordinator != "127.0.0.1:54321":
        sys.exit("nobody told me the port")
    if os.environ.get("STAND_IN_FAILS") == config["market"]:
        log("node_failed", level="error", error="out of luck")
        sys.exit(3)
    log("node_ready", market=config["market"], users=9, items=8, semantics="none")
    for number in (1, 2):
        log("training_started", round=number)
        log("training_progress", round=number, fraction=0.5)
        for phase in ("advertise_keys", "share_keys", "masked_input", "consistency", "unmask"):
            log("phase_started", round=number, phase=phase)
            hit(phase, number)
        log("round_closed", round=number, outcome="released")
    log("fine_tuning_started")
    folder = Path(config["storage"])
    folder.mkdir(parents=True, exist_ok=True)
    metrics = {"hr@10": 0.5, "ndcg@10": 0.25, "mrr": 0.2}
    report = {
        "market": config["market"],
        "users": 9,
        "items": 8,
        "interactions": 50,
        "semantics": "item ids hashed: no text",
        "methods": {"popularity": metrics, "local": metrics, "fecosr": metrics},
    }
    (folder / "report.json.new").write_text(json.dumps(report))
    (folder / "report.json.new").rename(folder / "report.json")
    log("report_written", path=str(folder / "report.json"))


def main() -> None:
    module, _, config_file, _, address = sys.argv[1:]
    config = tomllib.loads(Path(config_file).read_text())
    if module == "coordinator":
        coordinate(config, Path(config_file).parent, address)
    else:
        take_part(config, address)


main()
