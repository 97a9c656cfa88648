"""Every exception FeCoSR raises on purpose.

    FecosrError
    +-- ConfigError            a file, option or data set the operator gave us cannot be used
    |   +-- DataError          ... because of what stands in a data file
    |   +-- OtherSemanticSpace ... because its semantic vectors are not those that the markets agreed on
    +-- MisuseError            the calling code broke a documented precondition (a bug in our caller)
    +-- ProtocolViolation      a peer sent something the protocol forbids; names the peer and the phase
    +-- CryptoError            a signature, tag, commitment or share does not verify
    +-- LedgerError            a ledger record or its chain does not verify
    +-- StorageError           durable state is missing, damaged or in use by another process
    +-- ConnectionLost         a peer cannot be reached any more; trying again may help
    +-- ShardLost              another process of this node's own has ended; starting the node again helps
    +-- BudgetExhausted        opening the next round would pass the privacy budget

Dropouts are not exceptions: a market that leaves is an expected event with a typed reason.
No exception ever carries a key, a seed, a share, a vector or an interaction.
"""


class FecosrError(Exception):
    """Be the root of the tree, so that `except FecosrError` catches all of it and nothing else."""


class ConfigError(FecosrError):
    """Refuse operator input, saying where it stands and what to do about it.

    Args:
        message: one line, what is wrong.
        remedy: one line, what to do.
        source: the file (and, as `file:line`, the line) the problem stands in, if there is one.
    """

    def __init__(self, message: str, *, remedy: str = "", source: str = "") -> None:
        self.message = message
        self.remedy = remedy
        self.source = source
        place = f"{source}: " if source else ""
        hint = f" ({remedy})" if remedy else ""
        super().__init__(f"{place}{message}{hint}")


class DataError(ConfigError):
    """Refuse a data file, naming the file, the line and the remedy."""


class OtherSemanticSpace(ConfigError):
    """Refuse files whose semantic vectors cannot be compared with those of the other markets."""


class MisuseError(FecosrError):
    """Tell our own caller that it broke a documented precondition."""


class ProtocolViolation(FecosrError):
    """Name a peer that sent something the protocol forbids, the phase, and the rule it broke."""

    def __init__(self, peer: str, phase: str, rule: str) -> None:
        self.peer = peer
        self.phase = phase
        self.rule = rule
        super().__init__(f"{peer} broke the protocol in {phase}: {rule}")


class CryptoError(FecosrError):
    """Report that something cryptographic does not verify; never says more than what was checked."""


class LedgerError(FecosrError):
    """Report the record at which a ledger stops being trustworthy, and the rule that failed."""

    def __init__(self, record: int, rule: str, message: str) -> None:
        self.record = record
        self.rule = rule
        self.message = message
        super().__init__(f"record {record}: {rule}: {message}")


class StorageError(FecosrError):
    """Report durable state that is missing, damaged, or locked by another process."""


class ConnectionLost(FecosrError):
    """Report that a peer cannot be reached any more; the next connection may succeed."""


class ShardLost(FecosrError):
    """Report that another of the processes that train for this market has ended; they all end then."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"another process of this node is gone; start the node again ({detail})")


class BudgetExhausted(FecosrError):
    """Refuse to open a round whose cost would pass the privacy budget."""
