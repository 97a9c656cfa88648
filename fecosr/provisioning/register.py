"""What the authority remembers: who is enrolled, which certificates it gave out, and which count no more."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated

from cryptography import x509
from pydantic import AfterValidator, AwareDatetime, Field

from fecosr.config.parties import PublicKeyHex
from fecosr.config.toml import Section
from fecosr.federation.cohort import Roster
from fecosr.ids import COORDINATOR, NodeId, node_id


def party_name(text: str) -> str:
    """Return `text` if it names the coordinator or could name a market; raise ValueError otherwise."""
    return text if text == COORDINATOR else node_id(text)


PartyName = Annotated[str, AfterValidator(party_name)]


class Issued(Section):
    """Name one certificate that was given out."""

    serial: str = Field(pattern="^[0-9a-f]{1,40}$")
    until: AwareDatetime


class Enrolment(Section):
    """Hold what is known of one party.

    Attributes:
        identity: its Ed25519 public key.
        certificate: the newest one it was given; PEM.
        issued: every one it was given, oldest first.
        requested: when the newest approved request was made; requests that are not newer are refused.
    """

    identity: PublicKeyHex
    certificate: str
    issued: tuple[Issued, ...]
    requested: AwareDatetime

    def with_certificate(self, certificate: bytes, requested: datetime) -> "Enrolment":
        """Return the enrolment after one more certificate was given out."""
        return self.model_copy(
            update={
                "certificate": certificate.decode("ascii"),
                "issued": (*self.issued, issued(certificate)),
                "requested": requested,
            }
        )


class Revoked(Section):
    """Name one certificate that counts no more."""

    party: PartyName
    serial: str
    since: AwareDatetime


class Register(Section):
    """Hold the whole of register.json.

    Attributes:
        version: counts every change; parties take no package that is older than the one they have.
        parties: who is enrolled.
        revoked: certificates that count no more.
        retired_identities: of parties that were revoked; nobody is enrolled with one of them again.
    """

    version: int = Field(default=0, ge=0)
    parties: Mapping[PartyName, Enrolment] = {}
    revoked: tuple[Revoked, ...] = ()
    retired_identities: tuple[PublicKeyHex, ...] = ()

    def enrolled(self, party: NodeId, enrolment: Enrolment) -> "Register":
        """Return the register with `party` as `enrolment` says."""
        parties = {**self.parties, party: enrolment}
        return self.model_copy(update={"parties": parties, "version": self.version + 1})

    def roster(self) -> Roster | None:
        """Return the pinned identities of all parties, or None while there is no coordinator among them."""
        public = {NodeId(name): bytes.fromhex(party.identity) for name, party in self.parties.items()}
        coordinator = public.pop(COORDINATOR, None)
        return None if coordinator is None else Roster(coordinator, public)

    def revoking(
        self, certificates: Iterable[tuple[NodeId, Issued]], now: datetime, *, expelled: NodeId | None = None
    ) -> "Register":
        """Return the register with these certificates revoked, and without the party that is `expelled`."""
        known = {entry.serial for entry in self.revoked}
        added = tuple(
            Revoked(party=party, serial=one.serial, since=now)
            for party, one in certificates
            if one.serial not in known
        )
        changes: dict[str, object] = {"revoked": (*self.revoked, *added), "version": self.version + 1}
        if expelled is not None:
            changes["parties"] = {name: one for name, one in self.parties.items() if name != expelled}
            changes["retired_identities"] = (*self.retired_identities, self.parties[expelled].identity)
        return self.model_copy(update=changes)


def issued(certificate: bytes) -> Issued:
    """Return how the register names a PEM certificate."""
    found = x509.load_pem_x509_certificate(certificate)
    return Issued(serial=f"{found.serial_number:x}", until=found.not_valid_after_utc)
