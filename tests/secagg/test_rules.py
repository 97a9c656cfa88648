from fecosr.ids import NodeId
from fecosr.secagg.messages import Phase, SurvivorList
from fecosr.secagg.rules import Rule, out_of_phase


def test_every_rule_reads_differently() -> None:
    assert len(set(Rule)) == len(Rule.__members__)


def test_a_message_out_of_phase_is_late_or_early() -> None:
    message = SurvivorList((NodeId("a"),))
    late, early = (out_of_phase("x", phase, message) for phase in (Phase.UNMASK, Phase.SHARE_KEYS))
    assert (late.rule, late.peer, late.phase) == (Rule.LATE, "x", Phase.UNMASK)
    assert early.rule == Rule.EARLY
    assert str(late) == "x broke the protocol in unmask: late"
