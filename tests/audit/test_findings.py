from fecosr.audit.findings import Finding, Status, Weight, missing, status_of


def test_the_verdict_is_the_heaviest_finding() -> None:
    broken, absent = Finding(0, "chain", "x"), missing("ledger", "x")
    assert status_of([]) is Status.VERIFIED
    assert status_of([absent]) is Status.UNUSABLE
    assert status_of([absent, broken, absent]) is Status.NOT_VERIFIED
    assert [status.exit_code for status in Status] == [0, 1, 2]
    assert (absent.record, absent.weight) == (None, Weight.MISSING)
