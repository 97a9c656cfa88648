import json
import os
import signal
import subprocess
import sys

import pytest
from structlog.testing import CapturingLogger

from fecosr.config.clock import skew_clock, utc_now
from fecosr.errors import ConfigError
from fecosr.rpc.failpoints import NEVER, VARIABLE, Rehearsal, begin_rehearsal, rehearsal_from

HIT = """
from fecosr.rpc.failpoints import Rehearsal
Rehearsal({('unmask', 2): '%s'}).hit('unmask', 2)
print('alive')
"""


def test_without_the_variable_nothing_is_ever_hit() -> None:
    assert rehearsal_from({}, "spring") == NEVER
    NEVER.hit("unmask", 1)


def test_the_variable_names_the_run_and_what_to_do_where() -> None:
    found = rehearsal_from({VARIABLE: "spring masked_input@3=kill unmask@1=stop clock=-3600"}, "spring")
    assert found == Rehearsal({("masked_input", 3): "kill", ("unmask", 1): "stop"}, -3600.0)


@pytest.mark.parametrize(
    "order",
    [
        "masked_input",
        "masked_input@3",
        "lunch@3=kill",
        "unmask@x=kill",
        "unmask@1=nap",
        "clock=3",
        "clock=+x",
    ],
)
def test_anything_else_is_refused(order: str) -> None:
    with pytest.raises(ConfigError, match="cannot be rehearsed"):
        rehearsal_from({VARIABLE: f"spring {order}"}, "spring")


@pytest.mark.parametrize("text", ["autumn unmask@1=kill", "unmask@1=kill", "1"])
def test_a_variable_left_over_from_elsewhere_arms_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="not for the run spring"):
        rehearsal_from({VARIABLE: text}, "spring")


def test_other_points_and_rounds_pass() -> None:
    rehearsal = Rehearsal({("unmask", 2): "kill"})
    rehearsal.hit("unmask", 1)
    rehearsal.hit("consistency", 2)


def test_the_point_kills_the_process_as_a_power_cut_would() -> None:
    ended = subprocess.run([sys.executable, "-c", HIT % "kill"], capture_output=True, check=False)
    assert ended.returncode == -9
    assert ended.stdout == b""


def test_a_process_that_stops_says_so_first_and_goes_on_when_it_may() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HIT % "stop"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        output, said = process.communicate(timeout=60)
    assert json.loads(said) == {"event": "failpoint_reached", "point": "unmask", "round": 2}
    assert output == b"alive\n"


def test_a_rehearsal_sets_the_clock_and_is_announced() -> None:
    log = CapturingLogger()
    before = utc_now()
    try:
        begin_rehearsal({VARIABLE: "spring clock=+86400"}, "spring", log)
        assert 86_300 < (utc_now() - before).total_seconds() < 86_500
    finally:
        skew_clock(0.0)
    assert [(call.method_name, call.args) for call in log.calls] == [("warning", ("rehearsal",))]


def test_nothing_is_announced_where_nothing_is_rehearsed() -> None:
    log = CapturingLogger()
    assert begin_rehearsal({}, "spring", log) == NEVER
    assert log.calls == []
