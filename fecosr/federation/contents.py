"""What a masked vector holds, derived from the manifest alike by nodes, coordinator and auditor."""

from fecosr.federation.messages import RoundManifest
from fecosr.secagg.encoding import UpdateEncoding


def update_encoding(manifest: RoundManifest, *, max_loss: float, with_validation: bool) -> UpdateEncoding:
    """Return the encoding of every contribution to the attempt that `manifest` opens.

    Args:
        manifest: of the attempt.
        max_loss: the plan's bound on a reported loss.
        with_validation: whether the plan releases the validation metric.
    """
    return UpdateEncoding(
        num_parameters=manifest.num_parameters,
        clip_norm=manifest.clip_norm,
        num_summands=manifest.num_summands,
        max_loss=max_loss,
        ring_bits=manifest.ring_bits,
        rotation_seed=manifest.context(),
        with_validation=with_validation,
    )
