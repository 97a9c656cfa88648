from fecosr.serving.market_model import ServedModel
from fecosr.serving.model_card import model_card, privacy_statement


def test_the_card_says_what_model_json_says(served: ServedModel) -> None:
    card, facts = model_card(served, with_onnx=False), served.facts
    for expected in (
        f"Trained on {facts.data.interactions} interactions of {facts.data.users} users",
        f"each of the {facts.data.items} items",
        "run `spring`, planned for 3 rounds, seed 1",
        "ab" * 32,
        "cd" * 32,
        f"| test | {facts.metrics.test['hr@10']:.4f} | {facts.metrics.test['ndcg@10']:.4f} |",
        f"torch {facts.software.versions['torch']}",
        "made from titles",
    ):
        assert expected in card
    assert "model.onnx" not in card
    assert "model.onnx" in model_card(served, with_onnx=True)


def test_without_differential_privacy_the_card_says_so_and_in_no_case_is_fine_tuning_private(
    served: ServedModel,
) -> None:
    origin = served.facts.origin
    assert "epsilon is unbounded" in model_card(served, with_onnx=False)
    private = origin.model_copy(update={"privacy": {"mode": "central", "epsilon_budget": 8.0}})
    statement = privacy_statement(private)
    assert '"epsilon_budget": 8.0' in statement
    assert "unbounded" not in statement
    for text in (statement, privacy_statement(origin)):
        assert "Fine-tuning inside the market has no privacy mechanism of its own" in text


def test_ids_instead_of_titles_are_a_limit(untitled: ServedModel, served: ServedModel) -> None:
    limit = "items without training interactions cannot be recommended"
    assert limit in model_card(untitled, with_onnx=False)
    assert limit not in model_card(served, with_onnx=False)
