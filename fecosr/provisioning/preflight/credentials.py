"""Look at what a party proves its name with: who may read it, whether it fits together, how long it lasts."""

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from fecosr.config.parties import load_identity, load_roster
from fecosr.errors import ConfigError
from fecosr.ids import COORDINATOR
from fecosr.provisioning.fingerprints import fingerprint_text
from fecosr.provisioning.preflight.findings import Finding, failure, ok, warning
from fecosr.provisioning.preflight.kit import Kit
from fecosr.rpc.certificates import CLOCK_SKEW, COORDINATOR_URI, NODE_URI
from fecosr.rpc.expiry import days_left, expires_soon
from fecosr.rpc.revocation import verify_revocations
from fecosr.rpc.tls import check_leaf

ROTATE = "fecosr provision rotate, then approve, package and accept"


def check_permissions(kit: Kit) -> Iterator[Finding]:
    """Check that nobody but the owner can read the private keys, and that this user can."""
    for path in (kit.config.identity, kit.config.tls.key):
        try:
            found = path.stat()
        except OSError as error:
            yield failure("permissions", f"{path}: {error.strerror}", "restore it from the kit")
            continue
        mode = stat.S_IMODE(found.st_mode)
        if mode & 0o077:
            yield failure("permissions", f"{path}: others may read it, mode {mode:o}", f"chmod 600 {path}")
        elif not os.access(path, os.R_OK):
            yield failure(
                "permissions", f"{path}: this user may not read it", f"chown it to user {os.getuid()}"
            )
        else:
            yield ok("permissions", f"{path.name} is its owner's alone")
    if stat.S_IMODE(kit.folder.stat().st_mode) & 0o022:
        yield failure("permissions", f"{kit.folder}: others may write into it", f"chmod 700 {kit.folder}")


def check_identity(kit: Kit) -> Iterator[Finding]:
    """Check that the roster pins the identity that this kit holds."""
    public, roster = load_identity(kit.config.identity).public, load_roster(kit.config.roster)
    pinned = roster.coordinator if kit.party == COORDINATOR else roster.nodes.get(kit.party)
    if pinned == public:
        yield ok("identity", f"the roster pins it for {kit.party}, among {len(roster.nodes)} markets")
    else:
        problem = "does not know" if pinned is None else "pins another identity for"
        yield failure("identity", f"the roster {problem} {kit.party}", "take both files from one kit")


def check_certificates(kit: Kit) -> Iterator[Finding]:
    """Check chain, key, name and expiry of the certificates."""
    check_leaf(kit.tls, kit.now)
    authority, leaf = load_certificate(kit.config.tls.ca), load_certificate(kit.config.tls.certificate)
    expected = COORDINATOR_URI if kit.party == COORDINATOR else NODE_URI + kit.party
    if uris_of(leaf) == [expected]:
        digest = fingerprint_text(authority.fingerprint(hashes.SHA256()))
        hosts = "".join(f", for {host}" for host in hosts_of(leaf))
        yield ok("certificate", f"names {expected}{hosts}, signed by the authority {digest}")
    else:
        named = ", ".join(uris_of(leaf)) or "nobody"
        yield failure("certificate", f"names {named}, not {expected}", "take all files from one kit")
    yield from check_expiry("expiry", "this party's certificate", leaf, kit.now, ROTATE)
    yield from check_expiry("expiry", "the authority", authority, kit.now, "provision the federation again")


def check_expiry(
    check: str, name: str, certificate: x509.Certificate, now: datetime, remedy: str
) -> Iterator[Finding]:
    """Check how long a certificate is still good."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = days_left(certificate, now)
    if not begin <= now <= end:
        message = f"{name} is good from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC only"
        yield failure(check, message, f"set the clock of this machine, or: {remedy}")
    elif expires_soon(certificate, now):
        yield warning(check, f"{name} expires in {left} days, on {end:%Y-%m-%d}", remedy)
    else:
        yield ok(check, f"{name} is good for {left} days, until {end:%Y-%m-%d}")


def check_revocations(kit: Kit) -> Iterator[Finding]:
    """Check the revocation list, and that this party is not on it."""
    path = kit.config.tls.revoked
    if not path.exists():
        remedy = "copy revoked.pem from the authority's folder"
        yield warning("revocations", f"{path} is not there: nobody counts as revoked", remedy)
        return
    found = verify_revocations(path.read_bytes(), load_certificate(kit.config.tls.ca))
    if load_certificate(kit.config.tls.certificate).serial_number in found.serials:
        yield failure("revocations", "this party's certificate is revoked", ROTATE)
    elif kit.now > found.renew_by:
        remedy = "ask the owner of the federation for a new package"
        yield warning("revocations", f"the list was due for renewal on {found.renew_by:%Y-%m-%d}", remedy)
    else:
        yield ok("revocations", f"list number {found.number}, {len(found.serials)} revoked")


def check_clock(kit: Kit) -> Iterator[Finding]:
    """Check this machine's clock as far as files can tell; the coordinator's certificate tells more.

    TLS 1.3 carries no time of day, so there is no peer's clock to compare with. What is known: it cannot be
    earlier than the making of the certificates, nor than the last change of any file of this kit.
    """
    files = [path for path in (kit.folder, *kit.folder.rglob("*")) if path.exists()]
    newest = max(files, key=lambda path: path.stat().st_mtime)
    ahead = newest.stat().st_mtime - kit.now.timestamp()
    made = load_certificate(kit.config.tls.certificate).not_valid_before_utc + CLOCK_SKEW
    remedy = "set this machine's clock, best by NTP"
    if ahead > CLOCK_SKEW.total_seconds():
        late = timedelta(seconds=round(ahead))
        yield failure("clock", f"it is {late} behind the last change of {newest}", remedy)
    elif kit.now < made:
        yield warning("clock", f"it is {made - kit.now} behind the making of this certificate", remedy)
    else:
        yield ok("clock", f"{kit.now:%Y-%m-%d %H:%M:%S} UTC is after everything that this kit holds")


def load_certificate(path: Path) -> x509.Certificate:
    """Return a PEM certificate.

    Raises:
        ConfigError: it is none.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except ValueError:
        raise ConfigError("is not a certificate", source=str(path)) from None


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """Return the hosts that a certificate is good for, which is where others must dial its owner."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def uris_of(certificate: x509.Certificate) -> list[str]:
    """Return the names of parties that stand in a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
