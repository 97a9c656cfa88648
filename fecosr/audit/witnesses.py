"""Compare the ledger with the checkpoints the markets kept: only they show a ledger cut short or forked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fecosr.audit.chain import Chain
from fecosr.audit.findings import Finding, missing
from fecosr.audit.story import Story
from fecosr.errors import LedgerError
from fecosr.ids import NodeId
from fecosr.ledger.checkpoint import Checkpoint, check_follows, decode_checkpoint, verify_checkpoint

Evidence = Mapping[NodeId, bytes | None]
"""For every market of the roster the bytes of its `checkpoints.jsonl`; None: the file is not there."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Say how far the markets vouch for the ledger.

    Attributes:
        sizes: for every market how many of the verified records it vouches for, 0 when it kept nothing.
        findings: what does not fit.
    """

    sizes: Mapping[NodeId, int]
    findings: tuple[Finding, ...]


def check_witnesses(evidence: Evidence, chain: Chain, story: Story) -> Witnesses:
    """Check every kept checkpoint, and that the markets together vouch for every record that matters.

    A market that was stopped before its first round was over has an empty file, which is no reproach. One
    whose update is in a sum and whose file is absent leaves a gap that a forked ledger could hide in.
    """
    coordinator = story.terms.roster.coordinator
    contributors = {node for opened in story.sums for node in opened.survivors}
    findings: list[Finding] = []
    sizes: dict[NodeId, int] = {}
    for node, data in evidence.items():
        sizes[node] = 0
        if data is None:
            if node in contributors:
                findings.append(missing("witness", f"The checkpoints that {node} kept are not there."))
            continue
        try:
            for checkpoint in _read(data, coordinator):
                misfits = list(_misfits(node, checkpoint, chain))
                findings.extend(misfits)
                if not misfits and checkpoint.size <= len(chain.entries):
                    sizes[node] = checkpoint.size
        except LedgerError as error:
            findings.append(Finding(None, "checkpoint", f"The checkpoints of {node}: {error.message}."))
    if chain.is_whole and max(sizes.values(), default=0) < (needed := _needed(chain, story)):
        message = (
            f"No market kept a checkpoint of all {needed} records, so their end could have been rewritten."
        )
        findings.append(missing("witness", message))
    return Witnesses(sizes, tuple(findings))


def _read(data: bytes, coordinator_public: bytes) -> Iterator[Checkpoint]:
    *lines, rest = data.split(b"\n")
    if rest:
        raise LedgerError(0, "canonical", "the last line is not complete")
    earlier: Checkpoint | None = None
    for line in lines:
        checkpoint = decode_checkpoint(line)
        verify_checkpoint(checkpoint, coordinator_public)
        if earlier is not None:
            check_follows(checkpoint, earlier)
        earlier = checkpoint
        yield checkpoint


def _misfits(node: NodeId, checkpoint: Checkpoint, chain: Chain) -> Iterator[Finding]:
    size = checkpoint.size
    if checkpoint.run != chain.heads[0].run:
        yield Finding(None, "checkpoint", f"{node} kept a checkpoint of another run, {checkpoint.run}.")
    elif size < len(chain.heads):
        if chain.heads[size].hash != checkpoint.head:
            message = f"The ledger that {node} was shown had other records among the first {size}."
            yield Finding(max(size - 1, 0), "fork", message)
    elif chain.is_whole:
        message = (
            f"The coordinator signed for {size} records to {node}, but the ledger has {len(chain.entries)}."
        )
        yield Finding(len(chain.entries), "truncated", message)


def _needed(chain: Chain, story: Story) -> int:
    """Return how many records must be vouched for: a completed run's all, else those up to the last sum."""
    if story.is_completed:
        return len(chain.entries)
    return max(story.releases, default=-1) + 1
