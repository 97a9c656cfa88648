import pytest

from fecosr.recommender.model import SharedModel
from fecosr.recommender.settings import EncoderSettings
from fecosr.recommender.shared_size import num_shared_parameters


@pytest.mark.parametrize(
    "settings",
    [
        EncoderSettings(),
        EncoderSettings(
            dimension=12,
            num_blocks=3,
            num_heads=4,
            feed_forward_dimension=7,
            projector_dimension=5,
            max_length=9,
            similarity="cosine",
        ),
    ],
)
def test_the_count_is_that_of_the_model(settings: EncoderSettings) -> None:
    model = SharedModel(settings, 24)
    assert num_shared_parameters(settings, 24) == sum(value.numel() for value in model.parameters())
