"""The sections that decide model and training, named alike in a plan and in the settings of a comparison."""

from fecosr.config.toml import Section
from fecosr.recommender.settings import AdapterSettings, EncoderSettings, S2CESettings, SemanticsSettings
from fecosr.training.settings import (
    FineTuningSettings,
    LearningSettings,
    LocalBaselineSettings,
    LocalTrainingSettings,
)


class LearningSections(Section):
    """Hold what FeCoSR itself learns with; what it is compared with has settings of its own."""

    semantics: SemanticsSettings = SemanticsSettings()
    encoder: EncoderSettings = EncoderSettings()
    s2ce: S2CESettings = S2CESettings()
    local_training: LocalTrainingSettings = LocalTrainingSettings()
    fine_tuning: FineTuningSettings = FineTuningSettings()
    adapter: AdapterSettings = AdapterSettings()

    def learning(self, local_baseline: LocalBaselineSettings) -> LearningSettings:
        """Return everything that decides model and training, with these settings for a market alone."""
        return LearningSettings(
            semantics=self.semantics,
            encoder=self.encoder,
            s2ce=self.s2ce,
            local_training=self.local_training,
            adapter=self.adapter,
            fine_tuning=self.fine_tuning,
            local_baseline=local_baseline,
        )
