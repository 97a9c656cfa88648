"""A party's request to be enrolled, made where its private keys are and stay.

It carries a signing request for the TLS key (PKCS #10, RFC 2986) and the public Ed25519 identity. Each key
signs, so each is seen to be in the party's hands. The request is bound to one authority by the fingerprint of
its certificate, so it is worth nothing in another federation.
"""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import AwareDatetime, Field

from fecosr.config.parties import PublicKeyHex
from fecosr.config.toml import Section, validate
from fecosr.crypto.labels import Label, encode, sha256
from fecosr.crypto.signatures import SIGNATURE_BYTES, SigningKey, verify
from fecosr.errors import ConfigError, CryptoError
from fecosr.ids import NodeId
from fecosr.provisioning.register import PartyName
from fecosr.storage.atomic_files import write_json

MAX_REQUEST_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """Hold one request.

    Attributes:
        party: who asks.
        authority: SHA-256 of the certificate of the authority that is asked.
        made: when, in whole seconds.
        signing_request: of the TLS key, signed by it; PEM.
        identity: Ed25519 public key.
        previous: the identity that is to be replaced; empty when none is.
        signature: by `identity`.
        handover: by `previous`; empty when there is none.
    """

    party: NodeId
    authority: bytes
    made: datetime
    signing_request: bytes
    identity: bytes
    previous: bytes = b""
    signature: bytes = b""
    handover: bytes = b""

    def statement(self, label: Label) -> bytes:
        """Return the bytes that are signed for the purpose `label`."""
        return encode(
            label,
            self.party.encode(),
            self.authority,
            self.made.astimezone(UTC).isoformat().encode(),
            self.signing_request,
            self.identity,
            self.previous,
        )

    def fingerprint(self) -> bytes:
        """Return the 32 bytes that the party reads out to the authority over another channel."""
        return sha256(self.statement(Label.ENROLMENT_REQUEST))

    def tls_public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the TLS public key of a verified request."""
        key = x509.load_pem_x509_csr(self.signing_request).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CryptoError("the TLS key of the request is not one on P-256")
        return key


def make_request(
    party: NodeId,
    authority: bytes,
    now: datetime,
    *,
    tls_key: ec.EllipticCurvePrivateKey,
    identity: SigningKey,
    previous: SigningKey | None = None,
) -> EnrolmentRequest:
    """Return the signed request of `party`.

    Args:
        party: who asks.
        authority: SHA-256 of the certificate of the authority.
        now: an aware time.
        tls_key: the certificate will be for its public half.
        identity: the roster will pin its public half.
        previous: the enrolled identity, where `identity` is to replace it.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party)])
    signing_request = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(tls_key, hashes.SHA256())
    )
    unsigned = EnrolmentRequest(
        party=party,
        authority=authority,
        made=now.replace(microsecond=0),
        signing_request=signing_request.public_bytes(serialization.Encoding.PEM),
        identity=identity.public,
        previous=previous.public if previous else b"",
    )
    signature = identity.sign(unsigned.statement(Label.ENROLMENT_REQUEST))
    handover = previous.sign(unsigned.statement(Label.IDENTITY_HANDOVER)) if previous else b""
    return replace(unsigned, signature=signature, handover=handover)


def verify_request(request: EnrolmentRequest) -> None:
    """Check that whoever made `request` holds every private key it speaks of.

    Raises:
        CryptoError: a signature does not verify, or the signing request is not that of this party.
    """
    verify(request.identity, request.signature, request.statement(Label.ENROLMENT_REQUEST))
    if request.previous:
        verify(request.previous, request.handover, request.statement(Label.IDENTITY_HANDOVER))
    try:
        asked = x509.load_pem_x509_csr(request.signing_request)
    except ValueError:
        raise CryptoError("the request holds no signing request") from None
    request.tls_public_key()
    names = [attribute.value for attribute in asked.subject]
    if not asked.is_signature_valid or names != [request.party]:
        raise CryptoError("the signing request is not one of this party's TLS key")


class _RequestFile(Section):
    format: Literal["fecosr-request-1"]
    party: PartyName
    authority: str = Field(pattern="^[0-9a-f]{64}$")
    made: AwareDatetime
    signing_request: str
    identity: PublicKeyHex
    previous: PublicKeyHex | Literal[""]
    signature: str = Field(pattern=f"^[0-9a-f]{{{2 * SIGNATURE_BYTES}}}$")
    handover: str = Field(pattern=f"^([0-9a-f]{{{2 * SIGNATURE_BYTES}}})?$")


def write_request(path: Path, request: EnrolmentRequest) -> None:
    """Write `request`; it holds nothing secret.

    Raises:
        StorageError: the disk refused.
    """
    write_json(
        path,
        {
            "format": "fecosr-request-1",
            "party": request.party,
            "authority": request.authority.hex(),
            "made": request.made.astimezone(UTC).isoformat(),
            "signing_request": request.signing_request.decode("ascii"),
            "identity": request.identity.hex(),
            "previous": request.previous.hex(),
            "signature": request.signature.hex(),
            "handover": request.handover.hex(),
        },
    )


def read_request(path: Path) -> EnrolmentRequest:
    """Return the request at `path`; nothing of it is verified yet.

    Raises:
        ConfigError: it is none.
    """
    found = validate(read_json(path, MAX_REQUEST_BYTES), _RequestFile, source=str(path))
    return EnrolmentRequest(
        party=NodeId(found.party),
        authority=bytes.fromhex(found.authority),
        made=found.made,
        signing_request=found.signing_request.encode("ascii", "replace"),
        identity=bytes.fromhex(found.identity),
        previous=bytes.fromhex(found.previous),
        signature=bytes.fromhex(found.signature),
        handover=bytes.fromhex(found.handover),
    )


def read_json(path: Path, max_bytes: int) -> dict[str, object]:
    """Return the JSON object at `path`.

    Raises:
        ConfigError: there is none, or it is larger than `max_bytes`.
    """
    try:
        if path.stat().st_size > max_bytes:
            raise ConfigError(f"is larger than {max_bytes} bytes", source=str(path))
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except (ValueError, RecursionError):
        raise ConfigError("is not JSON", source=str(path)) from None
    if not isinstance(value, dict):
        raise ConfigError("is not a JSON object", source=str(path))
    return value
