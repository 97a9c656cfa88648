"""Which certificates are good no longer: an X.509 revocation list (RFC 5280) that the authority signs.

gRPC's Python server cannot hand such a list to TLS, so the coordinator looks every caller up in it itself,
before it reads a byte of what the caller has to say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fecosr.errors import ConfigError, CryptoError
from fecosr.rpc.certificates import Credential, signing_key
from fecosr.rpc.tls import PeerNameError, peer_certificate

LIST_DAYS: Final = 90
"""After so long a list that was not renewed is announced as old; it counts none the less."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Hold a list whose signature was verified.

    Attributes:
        number: counts up from list to list.
        renew_by: when the next list was due.
        serials: of the certificates that are good no longer.
    """

    number: int
    renew_by: datetime
    serials: frozenset[int]

    def check(self, certificate: x509.Certificate) -> None:
        """Check that `certificate` is not revoked.

        Raises:
            PeerNameError: it is.
        """
        if certificate.serial_number in self.serials:
            raise PeerNameError("this certificate is revoked")


def sign_revocations(
    authority: Credential, revoked: Iterable[tuple[int, datetime]], number: int, now: datetime
) -> bytes:
    """Return the list of `revoked` serial numbers, each with the time it ceased to be good; PEM."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = signing_key(authority)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(now)
        .next_update(now + timedelta(days=LIST_DAYS))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    for serial, since in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def verify_revocations(pem: bytes, authority: x509.Certificate) -> RevocationList:
    """Return the list that stands in `pem`.

    Raises:
        CryptoError: it is no list, or `authority` did not sign it.
    """
    try:
        found = x509.load_pem_x509_crl(pem)
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, x509.ExtensionNotFound):
        raise CryptoError("this is not a revocation list with a number") from None
    public = authority.public_key()
    is_signed = isinstance(public, ec.EllipticCurvePublicKey) and found.is_signature_valid(public)
    if not is_signed or found.next_update_utc is None:
        raise CryptoError("the revocation list is not signed by this federation's authority")
    return RevocationList(number, found.next_update_utc, frozenset(entry.serial_number for entry in found))


class Revocations:
    """Refuse revoked callers, by the list that stands in a file at the time of the call.

    A list can be replaced while the coordinator runs. One that does not verify, or is older than the one that
    was read before, is not taken over: the earlier one goes on to count, and the log says so. Without a file
    nothing is revoked.

    Args:
        file: the list; PEM.
        authority: certificate of the authority that must have signed it.

    Raises:
        ConfigError: there is a list, and it cannot be used.
    """

    def __init__(self, file: Path, authority: Path) -> None:
        self._file = file
        self._authority = x509.load_pem_x509_certificate(authority.read_bytes())
        self._stamp = self._find()
        self._list = self._read() if self._stamp else None

    @property
    def current(self) -> RevocationList | None:
        """Return the list that counts, if there is one."""
        return self._list

    def check(self, auth_context: Mapping[str, Iterable[bytes]]) -> None:
        """Check the caller whose authentication context this is.

        Raises:
            PeerNameError: its certificate is revoked, or it showed none.
        """
        self._refresh()
        if self._list is not None:
            self._list.check(peer_certificate(auth_context))

    def _refresh(self) -> None:
        stamp = self._find()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take_over(self._read())
        except ConfigError as error:
            _log.error("revocation_list_not_taken", reason=str(error))

    def _take_over(self, newer: RevocationList) -> None:
        if self._list is not None and newer.number < self._list.number:
            raise ConfigError(f"is older than the one that counts, number {self._list.number}")
        self._list = newer
        _log.info("revocation_list_taken", number=newer.number, revoked=len(newer.serials))

    def _read(self) -> RevocationList:
        try:
            return verify_revocations(self._file.read_bytes(), self._authority)
        except (OSError, CryptoError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"cannot be used: {reason}",
                remedy="copy revoked.pem from the authority's folder again",
                source=str(self._file),
            ) from None

    def _find(self) -> tuple[int, int, int] | None:
        """Return what changes whenever the file is replaced, or None when there is none."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
