from dataclasses import replace

import pytest
import torch

from fecosr.recommender.encoder import AttentionBlock, SequenceEncoder
from fecosr.recommender.settings import EncoderSettings


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_state_depends_on_no_later_item(encoder_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(encoder_settings).eval()
    inputs = torch.randn(3, 7, 8)
    changed = inputs.clone()
    changed[:, 4] = torch.randn(3, 8)
    before, after = encoder(inputs), encoder(changed)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert ((after[:, 4:] - before[:, 4:]).abs().amax(dim=2) > 1e-4).all()


def test_padding_and_neighbouring_rows_change_nothing(encoder_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(encoder_settings).eval()
    alone = torch.randn(1, 4, 8)
    batch = torch.randn(5, 9, 8)
    batch[2, :4] = alone[0]
    torch.testing.assert_close(encoder(batch)[2, :4], encoder(alone)[0], rtol=1e-5, atol=1e-5)


def test_the_order_of_items_matters(encoder_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(encoder_settings).eval()
    inputs = torch.randn(1, 3, 8)
    swapped = inputs[:, [1, 0, 2]]
    assert not torch.allclose(encoder(inputs)[0, 2], encoder(swapped)[0, 2], atol=1e-5)


def test_attention_is_the_textbook_formula() -> None:
    settings = EncoderSettings(dimension=6, num_heads=3, feed_forward_dimension=4, max_length=5, dropout=0.0)
    block = AttentionBlock(settings).eval()
    states = torch.randn(2, 5, 6)
    normed = block.attention_norm(states)
    q, k, v = block.query_key_value(normed).split(6, dim=2)
    mixed = torch.empty(2, 5, 6)
    for head in range(3):
        part = slice(2 * head, 2 * head + 2)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 2**0.5
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), float("-inf"))
        mixed[..., part] = scores.softmax(dim=2) @ v[..., part]
    attended = states + block.attention_output(mixed)
    expected = attended + block.feed_forward(block.feed_forward_norm(attended))
    torch.testing.assert_close(block(states), expected)


def test_dropout_acts_in_training_only(encoder_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(encoder_settings)
    inputs = torch.randn(2, 6, 8)
    assert not torch.equal(encoder(inputs), encoder(inputs))
    encoder.eval()
    assert torch.equal(encoder(inputs), encoder(inputs))


@pytest.fixture
def cosine_settings(encoder_settings: EncoderSettings) -> EncoderSettings:
    return replace(encoder_settings, similarity="cosine", temperature=0.1)


def test_cosine_logits_are_cosines_over_the_temperature(cosine_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(cosine_settings).eval()
    vectors = 3.0 * torch.randn(11, 8)
    items = encoder.item_inputs(vectors)
    states = encoder(items[torch.randint(11, (2, 4))])
    logits = states @ items.T
    expected = torch.nn.functional.cosine_similarity(states[:, :, None], vectors, dim=-1) / 0.1
    torch.testing.assert_close(logits, expected)
    assert logits.abs().max() <= 10.0 + 1e-4
    assert expected.std() > 0.5


def test_the_length_of_an_items_vector_means_nothing_to_a_cosine(cosine_settings: EncoderSettings) -> None:
    encoder = SequenceEncoder(cosine_settings).eval()
    vectors = torch.randn(2, 4, 8)
    lengths = torch.rand(2, 4, 1) + 0.5
    torch.testing.assert_close(
        encoder(encoder.item_inputs(vectors * lengths)), encoder(encoder.item_inputs(vectors))
    )


def test_inner_products_leave_vectors_as_they_are(encoder_settings: EncoderSettings) -> None:
    vectors = torch.randn(5, 8)
    assert SequenceEncoder(encoder_settings).item_inputs(vectors) is vectors
