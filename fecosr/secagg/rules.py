"""Every rule a peer can break, by name: the `rule` of a ProtocolViolation raised in this package."""

from enum import StrEnum

from fecosr.errors import ProtocolViolation
from fecosr.secagg.messages import ClientMessage, Phase, ServerMessage, came_late


class Rule(StrEnum):
    """Name the rules. `LATE` alone is no fault: it also meets what the network repeats or delays."""

    LATE = "late"
    EARLY = "early"
    EQUIVOCATION = "two different messages where one is due"
    # What a server asks of a client's messages.
    NOT_EXPECTED = "not expected in this session"
    WRONG_NAME = "message names another client"
    BAD_ADVERT = "advert does not verify"
    UNUSABLE_KEY = "advertised key is unusable"
    KEY_REUSED = "advertised key is already in use"
    WRONG_DESTINATIONS = "shares are not for exactly their holders"
    BAD_DEAL = "signature on shares does not verify"
    MALFORMED_SHARE = "malformed share"
    WRONG_VECTOR = "vector has the wrong length or type"
    BAD_COMPLAINT = "complaint about shares that were not delivered, or about too many"
    BAD_INPUT_SIGNATURE = "masked input does not verify"
    BAD_SURVIVORS_SIGNATURE = "consistency signature does not verify"
    WRONG_SHARES = "shares are not of exactly the survivors and dropouts"
    BAD_REVEAL_SIGNATURE = "revealed shares do not verify"
    # What a client asks of the server's.
    NOT_IN_ROSTER = "advert of a client that is not in the roster"
    ADVERTS_UNSORTED = "adverts are not strictly sorted"
    OWN_ADVERT_CHANGED = "own advert is missing or changed"
    COHORT_TOO_SMALL = "cohort is below the agreed minimum"
    COHORT_TOO_LARGE = "cohort is above the maximum"
    UNKNOWN_SOURCE = "shares from outside the cohort"
    SURVIVORS_UNSORTED = "survivors are not strictly sorted"
    NOT_A_SURVIVOR = "own input is missing from the survivors"
    UNKNOWN_SURVIVOR = "survivor that shared no keys"
    TOO_FEW_SURVIVORS = "survivors are below the agreed minimum"
    SURVIVORS_APART = "survivors leave a gap in the mask graph"
    UNKNOWN_SIGNER = "proof is signed by someone who is no survivor"
    PROOF_UNSORTED = "signers are not strictly sorted"
    PROOF_TOO_SMALL = "proof has too few signatures"


def out_of_phase(peer: str, phase: Phase, message: ClientMessage | ServerMessage) -> ProtocolViolation:
    """Return the violation of a peer whose message belongs in another phase than the current one."""
    return ProtocolViolation(peer, phase, Rule.LATE if came_late(message, phase) else Rule.EARLY)
