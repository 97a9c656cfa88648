"""Take a package over into the party's kit, once it is seen to be the answer to this party's keys.

Everything is written beside the kit first and loaded with the very functions that the binaries use. Only
then it takes its place, file by file; after a crash in between the same command finishes the work, because
the pending keys go last.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fecosr.config.parties import CoordinatorConfig, NodeConfig, load_identity, load_roster
from fecosr.config.plan import Plan, load_plan
from fecosr.config.toml import validate
from fecosr.data.settings import DataSettings
from fecosr.errors import ConfigError
from fecosr.federation.cohort import Roster
from fecosr.federation.policy import NodePolicy
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.enrolment import (
    COORDINATOR_FILE,
    IDENTITY_FILE,
    KEY_FILE,
    NODE_FILE,
    PENDING,
    forget_pending,
    party_of,
    pending_request,
)
from fecosr.provisioning.federation_file import policy_of
from fecosr.provisioning.folders import beside, take_over, write_private
from fecosr.provisioning.package import (
    CA,
    CERTIFICATE,
    MANIFEST,
    PLAN,
    ROSTER,
    Package,
    PackageManifest,
    verify_package,
)
from fecosr.provisioning.request import read_json
from fecosr.provisioning.toml_text import toml_text
from fecosr.rpc.certificates import COORDINATOR_URI, NODE_URI, fingerprint
from fecosr.rpc.tls import TlsFiles, check_leaf

TLS_KEY: Final = "tls/key.pem"
MAX_MANIFEST_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Accepted:
    """Say what a kit holds now.

    Attributes:
        config: the party's configuration file.
        plan: of the next run.
        plan_changed: whether the kit held another plan before; false for a new kit.
        config_written: whether the configuration file is new, so that somebody has to look at it.
    """

    config: Path
    plan: Plan
    plan_changed: bool
    config_written: bool


@dataclass(frozen=True, slots=True)
class NewConfig:
    """Say what goes into a configuration file that is not there yet; one that is there stays the party's own.

    Attributes:
        data: of a market node.
        storage: state is kept in a folder of the party's name under this one; without it, in its kit.
    """

    data: DataSettings
    storage: Path | None = None


def accept(kit: Path, package: Package, now: datetime, new: NewConfig) -> Accepted:
    """Complete or renew the kit in `kit` from `package`.

    Args:
        kit: made by a request, or provisioned; the files have the names that provisioning gives them.
        package: what the authority sent.
        now: an aware time.
        new: what goes into a configuration file that is not there yet.

    Raises:
        CryptoError: the package is not from the pinned authority.
        ConfigError: it is another party's, older than the kit, expired, or not for these keys.

    Guarantees: nothing in the kit is changed before everything was checked.
    """
    party = party_of(kit)
    verify_package(package, _pinned(kit))
    _check_meant_for(party, kit, package.manifest)
    with beside(kit) as staged:
        keys = _stage(kit, staged, package)
        plan = load_plan(staged / PLAN)
        check_leaf(TlsFiles(staged / CA, staged / CERTIFICATE, staged / TLS_KEY), now)
        _check_names(party, staged / CERTIFICATE)
        _check_identity(party, load_roster(staged / ROSTER), load_identity(staged / IDENTITY_FILE).public)
        before = load_plan(kit / PLAN) if (kit / PLAN).exists() else plan
        config = _stage_config(kit, staged, package.manifest, policy_of(plan), new)
        take_over(staged, kit, [*keys, *sorted(package.files), *config, MANIFEST])
    forget_pending(kit)
    name = COORDINATOR_FILE if party == COORDINATOR else NODE_FILE
    return Accepted(kit / name, plan, before.hash() != plan.hash(), bool(config))


def _pinned(kit: Path) -> bytes:
    """Return the fingerprint of the authority that this kit trusts: the one it has, or else asked first."""
    ca = kit / CA
    if ca.exists():
        try:
            return fingerprint(ca.read_bytes())
        except (OSError, ValueError):
            raise ConfigError("is not a certificate", source=str(ca)) from None
    request = pending_request(kit)
    if request is None:
        raise ConfigError("pins no authority", remedy="begin with fecosr provision request", source=str(kit))
    return request.authority


def _check_meant_for(party: NodeId, kit: Path, manifest: PackageManifest) -> None:
    if manifest.party != party:
        raise ConfigError(f"this package is for {manifest.party}, this kit is {party}'s")
    if not (kit / MANIFEST).exists():
        return
    current = validate(
        read_json(kit / MANIFEST, MAX_MANIFEST_BYTES), PackageManifest, source=str(kit / MANIFEST)
    )
    if (manifest.version, manifest.made) < (current.version, current.made):
        raise ConfigError(
            f"this package is of {manifest.made:%Y-%m-%d %H:%M}, the kit holds one of "
            f"{current.made:%Y-%m-%d %H:%M}",
            remedy="somebody sent an old one; ask for the newest",
        )


def _stage(kit: Path, staged: Path, package: Package) -> list[str]:
    """Write the kit as it would be; return which private keys take their place."""
    (staged / "tls").mkdir()
    for name, content in {**package.files, MANIFEST: package.signed}.items():
        (staged / name).write_bytes(content)
    fitting = _key_of(kit, package.files[CERTIFICATE])
    is_pending = fitting.parent == kit / PENDING
    identity = kit / PENDING / IDENTITY_FILE
    if not (is_pending and identity.exists()):
        identity = kit / IDENTITY_FILE
    for source, name in ((identity, IDENTITY_FILE), (fitting, TLS_KEY)):
        write_private(staged / name, _read_secret(source))
    return [IDENTITY_FILE, TLS_KEY]


def _key_of(kit: Path, certificate: bytes) -> Path:
    """Return the private TLS key that the certificate was made for: the pending one, or the kit's own."""
    wanted = x509.load_pem_x509_certificate(certificate).public_key()
    for path in (kit / PENDING / KEY_FILE, kit / TLS_KEY):
        if path.exists() and load_pem_private_key(_read_secret(path), password=None).public_key() == wanted:
            return path
    raise ConfigError(
        "the certificate in this package is not for a key of this kit",
        remedy="have the request approved that this kit made, and send the package made after that",
    )


def _check_names(party: NodeId, certificate: Path) -> None:
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    expected = COORDINATOR_URI if party == COORDINATOR else NODE_URI + party
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [expected]:
        raise ConfigError(f"the certificate in this package does not name {party}")


def _check_identity(party: NodeId, roster: Roster, identity: bytes) -> None:
    pinned = roster.coordinator if party == COORDINATOR else roster.nodes.get(party)
    if pinned != identity:
        raise ConfigError(
            f"the roster in this package pins another identity for {party} than this kit holds",
            remedy="do not use it; ask the federation's owner what was approved",
        )


def _stage_config(
    kit: Path, staged: Path, manifest: PackageManifest, policy: NodePolicy, new: NewConfig
) -> list[str]:
    """Write the party's configuration file if the kit has none; return its name if so."""
    is_coordinator = manifest.party == COORDINATOR
    name = COORDINATOR_FILE if is_coordinator else NODE_FILE
    if (kit / name).exists():
        return []
    storage = new.storage / manifest.party if new.storage else Path("state")
    config: CoordinatorConfig | NodeConfig
    if is_coordinator:
        config = CoordinatorConfig(listen=manifest.listen, storage=storage)
    else:
        config = NodeConfig(
            market=manifest.party,
            coordinator=manifest.coordinator,
            data=new.data,
            policy=policy,
            storage=storage,
        )
    (staged / name).write_text(toml_text(config.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return [name]


def _read_secret(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from None
