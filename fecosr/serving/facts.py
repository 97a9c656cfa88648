"""What model.json says about a market model: origin, making, figures, and the files that belong to it."""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from fecosr.config.toml import Section
from fecosr.data.settings import DataSettings
from fecosr.training.settings import LearningSettings

MODEL_FOLDER: Final = "model"
"""The name of the folder of a market model inside a node's storage."""

FORMAT: Final = "fecosr-market-model"
FORMAT_VERSION: Final = 1

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Figures = dict[str, Annotated[float, Field(ge=0, le=1)]]


class OriginFacts(Section):
    """Name the federated run that the market model started from.

    Attributes:
        run: its name.
        planned_rounds: how many its plan allows; it may have ended earlier, by the rule in the plan.
        plan_hash: of the plan all markets shared.
        shared_model_hash: of the final shared parameters, as the ledger records it.
        privacy: the plan's privacy section.
    """

    run: str
    planned_rounds: Count
    plan_hash: Sha256Hex
    shared_model_hash: Sha256Hex
    privacy: dict[str, JsonValue]


class SemanticsFacts(Section):
    """Say what the semantic vectors are.

    Attributes:
        kind: of the function that made them.
        source: what it made them from, in words for a report.
        has_text: whether it read texts, so that a new item's title says where the item belongs.
        vectors_hash: SHA-256 of the float32 values, row by row.
        embedding: the name of the text model, or of what made given vectors; empty where there is neither.
        embedding_hash: of its files, on which all markets of the run agreed.
        sketch_hash: of the sum of sketches they were made from, where they were made from behaviour.
    """

    kind: str
    source: str
    has_text: bool
    vectors_hash: Sha256Hex
    embedding: str = ""
    embedding_hash: Sha256Hex | None = None
    sketch_hash: Sha256Hex | None = None

    @property
    def of_every_item(self) -> bool:
        """Return whether every vector says something of its item, title or not."""
        return self.kind == "vectors"


class DataFacts(Section):
    """Describe the data the model was trained on.

    Attributes:
        users: of the market.
        items: V.
        interactions: of all users.
        fingerprint: SHA-256 of users, items and sequences; None in a copy that was handed on.
        settings: where they stand and how they are read; None in a copy that was handed on.
    """

    users: Count
    items: Count
    interactions: Count
    fingerprint: Sha256Hex | None = None
    settings: DataSettings | None = None


class TrainingFacts(Section):
    """Say how the model was made.

    Attributes:
        seed: of the run.
        best_epoch: of fine-tuning; 0 where the shared model was best as it was.
        learning: every setting of model and training.
    """

    seed: Count
    best_epoch: Count
    learning: LearningSettings


class MetricsFacts(Section):
    """Hold the full-ranking metrics that the market measured, by their names in its report.

    Attributes:
        users: who were evaluated.
        validation: by these the epoch was chosen.
        test: looked at once, when everything was decided.
    """

    users: Count
    validation: Figures
    test: Figures


class SoftwareFacts(Section):
    """Say what computed the model.

    Attributes:
        versions: of FeCoSR, Python and the libraries that compute.
        device: the kind of device that measured it, "cpu" or "cuda".
        num_threads: of torch; with as many on the same kind of device, scores agree to the last bit.
    """

    versions: dict[str, str]
    device: str
    num_threads: int = Field(ge=1, le=1024)


class ModelFacts(Section):
    """Hold everything that is known about a market model apart from its numbers."""

    market: str
    origin: OriginFacts
    semantics: SemanticsFacts
    data: DataFacts
    training: TrainingFacts
    metrics: MetricsFacts
    software: SoftwareFacts


class FileFacts(Section):
    """Pin one file that belongs to the model."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    sha256: Sha256Hex
    size_bytes: Count


class ModelFile(Section):
    """Hold the whole of model.json."""

    format: Literal["fecosr-market-model"] = FORMAT
    format_version: Literal[1] = FORMAT_VERSION
    model: ModelFacts
    parameters: FileFacts
    semantics: FileFacts
    catalogue: FileFacts
