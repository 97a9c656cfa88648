"""Decide about a request: what the authority checks before it certifies a key and pins an identity."""

from datetime import datetime, timedelta
from typing import Final

from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.authority import Authority
from fecosr.provisioning.fingerprints import fingerprint_text
from fecosr.provisioning.register import Enrolment, Issued, Register
from fecosr.provisioning.request import EnrolmentRequest, verify_request
from fecosr.rpc.certificates import CLOCK_SKEW, certify_coordinator, certify_node

REQUEST_DAYS: Final = 14
"""How old a request may be: long enough for a holiday, too short to be found in an archive."""


def approve(
    authority: Authority, request: EnrolmentRequest, now: datetime, *, confirmed: bytes | None
) -> Register:
    """Return the register after `request` was granted.

    Args:
        authority: who is asked.
        request: what it is asked for.
        now: an aware time.
        confirmed: the fingerprint that the party read out over another channel. It decides who is let in, so
            a first request needs it; later ones are signed by the identity that was let in.

    Raises:
        CryptoError: the request is not signed by the keys it speaks of.
        ConfigError: it is for another federation, too old, a repetition, or not from who it says.
    """
    verify_request(request)
    _check_meant_for(authority, request, now)
    enrolled = authority.register.parties.get(request.party)
    if enrolled is None or confirmed is not None:
        _check_confirmed(request, confirmed)
    if enrolled is None:
        _check_newcomer(request)
        enrolment = Enrolment(
            identity=request.identity.hex(), certificate="", issued=(), requested=request.made
        )
    else:
        _check_successor(request, enrolled)
        enrolment = enrolled.model_copy(update={"identity": request.identity.hex()})
    _check_identity(authority.register, request)
    certificate = _certify(authority, request, now)
    return authority.register.enrolled(request.party, enrolment.with_certificate(certificate, request.made))


def expel(register: Register, party: NodeId, now: datetime) -> Register:
    """Return the register without `party`: its certificates count no more, its identity is never taken again.

    Raises:
        ConfigError: there is no such party.
    """
    enrolled = _enrolled(register, party)
    certificates = ((party, one) for one in _still_good(enrolled, now))
    return register.revoking(certificates, now, expelled=party)


def revoke_superseded(register: Register, party: NodeId, now: datetime) -> Register:
    """Return the register with all certificates of `party` revoked but the newest.

    Raises:
        ConfigError: there is no such party, or it has one certificate only.
    """
    *older, _newest = _enrolled(register, party).issued
    if not older:
        raise ConfigError(f"{party} has one certificate only", remedy="rotate it first")
    return register.revoking(((party, one) for one in older if one.until > now), now)


def _check_meant_for(authority: Authority, request: EnrolmentRequest, now: datetime) -> None:
    if request.authority != authority.fingerprint():
        raise ConfigError(
            "this request is for another federation",
            remedy=f"make it with --ca-fingerprint {fingerprint_text(authority.fingerprint())}",
        )
    if request.made > now + CLOCK_SKEW:
        raise ConfigError(
            f"this request was made in the future, at {request.made:%Y-%m-%d %H:%M} UTC",
            remedy="set the clock here or at the party",
        )
    if request.made < now - timedelta(days=REQUEST_DAYS):
        raise ConfigError(
            f"this request is older than {REQUEST_DAYS} days", remedy="have the party make a new one"
        )


def _check_confirmed(request: EnrolmentRequest, confirmed: bytes | None) -> None:
    # Our own fingerprint of the request is never shown: it would be copied instead of asked for.
    if confirmed is None:
        raise ConfigError(
            f"{request.party} is not enrolled yet",
            remedy="have the party read its request's fingerprint out over the phone: --fingerprint",
        )
    if confirmed != request.fingerprint():
        raise ConfigError(
            "this is not the request with that fingerprint",
            remedy="somebody replaced it on the way, or the fingerprint is of another one",
        )


def _check_newcomer(request: EnrolmentRequest) -> None:
    if request.previous:
        raise ConfigError(
            f"{request.party} is not enrolled, so there is no identity to replace",
            remedy="make the request without --new-identity",
        )


def _check_successor(request: EnrolmentRequest, enrolled: Enrolment) -> None:
    if request.made <= enrolled.requested:
        raise ConfigError(
            "a request made at the same time or later was approved before",
            remedy="run fecosr provision package, or have the party make a new request",
        )
    known = bytes.fromhex(enrolled.identity)
    if known not in {request.identity, request.previous}:
        raise ConfigError(
            f"the identity in this request is not that of {request.party}, nor handed over by it",
            remedy="if the old identity is lost, revoke the party first and enrol it again",
        )


def _check_identity(register: Register, request: EnrolmentRequest) -> None:
    identity = request.identity.hex()
    if identity in register.retired_identities:
        raise ConfigError("this identity was revoked", remedy="have the party make a new kit with fresh keys")
    owners = [
        name for name, one in register.parties.items() if one.identity == identity and name != request.party
    ]
    if owners:
        raise ConfigError(f"this identity is already that of {owners[0]}", remedy="have fresh keys made")


def _certify(authority: Authority, request: EnrolmentRequest, now: datetime) -> bytes:
    key, days = request.tls_public_key(), authority.settings.certificate_days
    if request.party == COORDINATOR:
        hosts = [authority.settings.coordinator.address.rpartition(":")[0]]
        return certify_coordinator(authority.credential, hosts, key, now, days)
    return certify_node(authority.credential, request.party, key, now, days)


def _enrolled(register: Register, party: NodeId) -> Enrolment:
    enrolled = register.parties.get(party)
    if enrolled is None:
        known = ", ".join(sorted(register.parties)) or "nobody"
        raise ConfigError(f"{party} is not enrolled", remedy=f"enrolled: {known}")
    return enrolled


def _still_good(enrolled: Enrolment, now: datetime) -> list[Issued]:
    """Return the certificates that have not expired; a list of the expired ones would only grow."""
    return [one for one in enrolled.issued if one.until > now]
