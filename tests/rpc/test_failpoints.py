import subprocess
import sys

import pytest

from fecosr.errors import ConfigError
from fecosr.rpc.failpoints import NEVER, VARIABLE, Failpoint, failpoint_from

HIT = "from fecosr.rpc.failpoints import Failpoint; Failpoint('unmask', 2).hit('unmask', 2); print('alive')"


def test_without_the_variable_nothing_is_ever_hit() -> None:
    assert failpoint_from({}) == NEVER
    NEVER.hit("unmask", 1)


def test_the_variable_names_point_and_round() -> None:
    assert failpoint_from({VARIABLE: "masked_input@3=kill"}) == Failpoint("masked_input", 3)


@pytest.mark.parametrize(
    "text", ["masked_input", "masked_input@3", "lunch@3=kill", "unmask@x=kill", "unmask@1=nap"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a failpoint"):
        failpoint_from({VARIABLE: text})


def test_other_points_and_rounds_pass() -> None:
    point = Failpoint("unmask", 2)
    point.hit("unmask", 1)
    point.hit("consistency", 2)


def test_the_point_kills_the_process_as_a_power_cut_would() -> None:
    ended = subprocess.run([sys.executable, "-c", HIT], capture_output=True, check=False)
    assert ended.returncode == -9
    assert ended.stdout == b""
