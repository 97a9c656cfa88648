from fecosr.ledger.log import decode_entry
from fecosr.observability.curves import Point, comparison_points, ledger_points, log_points
from fecosr.observability.lines import LogLine
from tests.reference.audited_run import make_run


def line(event: str, **fields: object) -> LogLine:
    return LogLine(7.0, "info", event, fields)


def test_a_ledger_tells_who_was_in_each_sum_and_what_the_model_before_was_worth() -> None:
    run = make_run()
    lines, _ = run.signed(run.bodies)
    entries = [decode_entry(line.rstrip(b"\n"), number) for number, line in enumerate(lines)]
    points = list(ledger_points(entries))
    survivors = [(p.step, p.value) for p in points if p.tag == "rounds/survivors"]
    assert [step for step, _ in survivors] == [1, 2]
    assert all(value >= 2 for _, value in survivors)
    assert {p.run for p in points} == {"coordinator"}


def test_a_log_tells_losses_of_rounds_and_metrics_of_epochs() -> None:
    said = [
        line("round_released", party="coordinator", round=1, loss=4.5, seconds=2.0),
        line("round_released", party="coordinator", round=2, loss=None, seconds=3.0),
        line("fine_tuning_progress", party="fr", round=2, epoch=1, validation_ndcg_10=0.25),
        line("local_progress", party="fr", round=2, epoch=0, validation_ndcg_10=0.125),
        line("training_progress", party="fr", round=2, fraction=0.5),
        line("local_progress", party="fr", round=2, epoch=1),
    ]
    assert list(log_points(said)) == [
        Point("coordinator", "training/loss", 1, 4.5, 7.0),
        Point("coordinator", "rounds/seconds", 1, 2.0, 7.0),
        Point("coordinator", "rounds/seconds", 2, 3.0, 7.0),
        Point("fr", "fine_tuning/validation_ndcg_10", 1, 0.25, 7.0),
        Point("fr", "local/validation_ndcg_10", 0, 0.125, 7.0),
    ]


def test_a_comparison_tells_the_rounds_of_every_method_and_seed() -> None:
    rounds = [{"round": 1, "loss": 4.0, "cosine": None}, {"round": 2, "loss": 3.0}, "nonsense"]
    found = {"method": "fecosr", "variant": "raw", "seed": 3, "rounds": rounds}
    points = list(comparison_points({"heterogeneity": [found, 7]}))
    assert points == [
        Point("fecosr/raw/seed-3", "training/loss", 1, 4.0),
        Point("fecosr/raw/seed-3", "training/loss", 2, 3.0),
    ]
    assert list(comparison_points({})) == []
