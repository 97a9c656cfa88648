"""What the authority sends back to a party: one file with everything of a startup kit but the private keys.

A zip archive of a fixed set of names. `package.json` lists the SHA-256 of every other file; the authority's
key signs it. The party takes nothing from it that its pinned authority did not sign.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AwareDatetime, Field

from fecosr.config.address import Address
from fecosr.config.toml import Section, validate
from fecosr.crypto.labels import Label, encode, sha256
from fecosr.errors import ConfigError, CryptoError
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.authority import Authority
from fecosr.provisioning.register import PartyName
from fecosr.provisioning.toml_text import toml_text
from fecosr.rpc.certificates import fingerprint, signing_key

PACKAGE_SUFFIX: Final = ".fecosr-kit"
MANIFEST: Final = "package.json"
SIGNATURE: Final = "package.sig"
PLAN: Final = "plan.toml"
ROSTER: Final = "roster.toml"
CA: Final = "tls/ca.pem"
CERTIFICATE: Final = "tls/certificate.pem"
REVOKED: Final = "tls/revoked.pem"
INITIAL_MODEL: Final = "initial_model.safetensors"
FILES: Final = (PLAN, ROSTER, CA, CERTIFICATE, REVOKED)
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_MODEL_BYTES: Final = 16 * 1024**3


class PackageManifest(Section):
    """Hold the whole of package.json.

    Attributes:
        party: whose kit it completes.
        version: of the authority's register; a party never goes back to an older one.
        made: when.
        coordinator: where the nodes reach the coordinator.
        listen: what the coordinator binds.
        files: SHA-256 of every file.
    """

    format: Literal["fecosr-kit-1"] = "fecosr-kit-1"
    party: PartyName
    version: int = Field(ge=0)
    made: AwareDatetime
    coordinator: Address
    listen: Address
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Package:
    """Hold a package whose parts fit together; who signed it is checked by `verify_package`."""

    manifest: PackageManifest
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)


def make_package(
    authority: Authority, party: NodeId, now: datetime, initial_model: bytes | None = None
) -> bytes:
    """Return the package that completes the kit of `party`.

    Args:
        authority: signs it.
        party: whose it is.
        now: an aware time.
        initial_model: the coordinator's needs one; no other has one.

    Raises:
        ConfigError: the party, the coordinator or too few markets are enrolled.
    """
    files = _contents(authority, party, now)
    if initial_model is not None:
        files[INITIAL_MODEL] = initial_model
    manifest = PackageManifest(
        party=party,
        version=authority.register.version,
        made=now.replace(microsecond=0),
        coordinator=authority.settings.coordinator.address,
        listen=authority.settings.coordinator.interface(),
        files={name: sha256(content).hex() for name, content in files.items()},
    )
    signed = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, indent=2).encode()
    key = signing_key(authority.credential)
    signature = key.sign(encode(Label.KIT_PACKAGE, signed), ec.ECDSA(hashes.SHA256()))
    return _zipped({MANIFEST: signed, SIGNATURE: signature, **files})


def read_package(path: Path) -> Package:
    """Return the package at `path`; who signed it is not checked yet.

    Raises:
        ConfigError: it is none.
        CryptoError: a file is not the one that its manifest lists.
    """
    files = _unzipped(path)
    try:
        signed, signature = files.pop(MANIFEST), files.pop(SIGNATURE)
        values = json.loads(signed)
    except (KeyError, ValueError, RecursionError):
        raise ConfigError("is not a kit package", source=str(path)) from None
    if not isinstance(values, dict):
        raise ConfigError("is not a kit package", source=str(path))
    manifest = validate(values, PackageManifest, source=str(path))
    expected = {*FILES, *((INITIAL_MODEL,) if manifest.party == COORDINATOR else ())}
    if files.keys() != expected or manifest.files.keys() != expected:
        raise ConfigError("does not hold exactly the files of a kit", source=str(path))
    changed = [name for name, content in files.items() if sha256(content).hex() != manifest.files[name]]
    if changed:
        raise CryptoError(f"{path}: {changed[0]} is not the file that was packed")
    return Package(manifest, signed, signature, files)


def verify_package(package: Package, pinned: bytes) -> None:
    """Check that the authority whose certificate has the fingerprint `pinned` made `package`.

    Raises:
        CryptoError: it did not.
    """
    try:
        found = fingerprint(package.files[CA])
        authority = x509.load_pem_x509_certificate(package.files[CA]).public_key()
    except ValueError:
        raise CryptoError("the package holds no authority certificate") from None
    if found != pinned or not isinstance(authority, ec.EllipticCurvePublicKey):
        raise CryptoError("the package is from another authority than the one this kit pins")
    try:
        statement = encode(Label.KIT_PACKAGE, package.signed)
        authority.verify(package.signature, statement, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise CryptoError("the package is not signed by the authority") from None


def _contents(authority: Authority, party: NodeId, now: datetime) -> dict[str, bytes]:
    register, plan = authority.register, authority.plan
    if party not in register.parties:
        raise ConfigError(f"{party} is not enrolled", remedy="approve its request first")
    roster = register.roster()
    if roster is None:
        raise ConfigError("the coordinator is not enrolled", remedy="approve its request first")
    if len(roster.nodes) < plan.cohort.n_min:
        raise ConfigError(
            f"{len(roster.nodes)} of the {plan.cohort.n_min} markets that the plan needs are enrolled",
            remedy="approve the others' requests first: every kit pins all of them",
        )
    public = {name: key.hex() for name, key in sorted(roster.nodes.items())}
    return {
        PLAN: toml_text(plan.model_dump(mode="json", exclude_none=True)).encode(),
        ROSTER: toml_text({COORDINATOR: roster.coordinator.hex(), "nodes": public}).encode(),
        CA: authority.credential.certificate,
        CERTIFICATE: register.parties[party].certificate.encode("ascii"),
        REVOKED: authority.revocations(now),
    }


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _unzipped(path: Path) -> dict[str, bytes]:
    """Return the files of an archive of which nothing is believed: neither names nor sizes."""
    known = {MANIFEST, SIGNATURE, *FILES, INITIAL_MODEL}
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names) or not known.issuperset(names):
                raise ConfigError("holds files that no kit has", source=str(path))
            return {info.filename: _content(archive, info, path) for info in infos}
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
        raise ConfigError("is not a kit package", source=str(path)) from None


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> bytes:
    most = MAX_MODEL_BYTES if info.filename == INITIAL_MODEL else MAX_FILE_BYTES
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
        raise ConfigError(f"{info.filename} is compressed or too large", source=str(path))
    return archive.read(info)
