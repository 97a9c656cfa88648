"""The folder of whoever owns the federation: certificate authority, register, plan and revocation list.

certificate.pem  key.pem     the authority; the key makes new parties, so the folder belongs offline
authority.toml   plan.toml   where the coordinator is, how long certificates last; the plan of the next run
register.json                who is enrolled
revoked.pem                  which certificates count no more, for the coordinator's tls folder
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from pydantic import Field

from fecosr.config.plan import Plan, load_plan
from fecosr.config.toml import Section, load, validate
from fecosr.errors import ConfigError
from fecosr.provisioning.federation_file import CoordinatorSection
from fecosr.provisioning.folders import write_private
from fecosr.provisioning.register import Register
from fecosr.provisioning.request import read_json
from fecosr.provisioning.toml_text import toml_text
from fecosr.rpc.certificates import Credential, create_authority, fingerprint, signing_key
from fecosr.rpc.revocation import sign_revocations
from fecosr.storage.atomic_files import write_bytes, write_json
from fecosr.storage.lock import OwnerLock

AUTHORITY_DAYS: Final = 3650
"""Leaves are renewed every year or so; changing the authority means provisioning everybody again."""

CERTIFICATE_FILE: Final = "certificate.pem"
KEY_FILE: Final = "key.pem"
SETTINGS_FILE: Final = "authority.toml"
PLAN_FILE: Final = "plan.toml"
REGISTER_FILE: Final = "register.json"
REVOKED_FILE: Final = "revoked.pem"
MAX_REGISTER_BYTES: Final = 256 * 1024 * 1024


class AuthoritySettings(Section):
    """Hold the whole of authority.toml."""

    coordinator: CoordinatorSection
    certificate_days: int = Field(ge=1, le=3650)


@dataclass(frozen=True, slots=True)
class Authority:
    """Hold what stands in the authority's folder.

    Attributes:
        folder: where it stands.
        settings: where the coordinator is, and how long certificates last.
        plan: of the next run.
        credential: the authority's certificate and key.
        register: who is enrolled.
    """

    folder: Path
    settings: AuthoritySettings
    plan: Plan
    credential: Credential
    register: Register

    def fingerprint(self) -> bytes:
        """Return the SHA-256 of the authority's certificate, which every party pins."""
        return fingerprint(self.credential.certificate)

    def revocations(self, now: datetime) -> bytes:
        """Return the signed list of the certificates that count no more; PEM."""
        entries = ((int(entry.serial, 16), entry.since) for entry in self.register.revoked)
        return sign_revocations(self.credential, entries, self.register.version, now)

    def store(self, register: Register, now: datetime) -> "Authority":
        """Make `register` the one that counts, and write the revocation list that follows from it.

        Raises:
            StorageError: the disk refused.
        """
        changed = replace(self, register=register)
        write_json(self.folder / REGISTER_FILE, register.model_dump(mode="json"))
        write_bytes(self.folder / REVOKED_FILE, changed.revocations(now))
        return changed


def found_authority(folder: Path, settings: AuthoritySettings, plan: Plan, now: datetime) -> Authority:
    """Make a new authority in `folder`, which is there and empty."""
    credential = create_authority(f"FeCoSR {plan.run.name}", now, AUTHORITY_DAYS)
    (folder / CERTIFICATE_FILE).write_bytes(credential.certificate)
    write_private(folder / KEY_FILE, credential.key)
    (folder / SETTINGS_FILE).write_text(toml_text(_settings_dump(settings)), encoding="utf-8")
    (folder / PLAN_FILE).write_text(
        toml_text(plan.model_dump(mode="json", exclude_none=True)), encoding="utf-8"
    )
    return Authority(folder, settings, plan, credential, Register()).store(Register(), now)


@contextmanager
def open_authority(folder: Path, now: datetime) -> Iterator[Authority]:
    """Give the authority in `folder` to this process alone.

    Raises:
        ConfigError: the folder is not an authority's, others may read its key, or its certificate is not good
            at `now`.
        StorageError: another process has it.
    """
    if not (folder / REGISTER_FILE).is_file():
        raise ConfigError(
            "is not an authority's folder",
            remedy="make one with fecosr provision authority",
            source=str(folder),
        )
    lock = OwnerLock(folder / f"{REGISTER_FILE}.lock")
    try:
        yield _read(folder, now)
    finally:
        lock.release()


def _read(folder: Path, now: datetime) -> Authority:
    try:
        credential = Credential((folder / CERTIFICATE_FILE).read_bytes(), (folder / KEY_FILE).read_bytes())
        certificate = x509.load_pem_x509_certificate(credential.certificate)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(error.filename)) from None
    except ValueError:
        raise ConfigError("is not a certificate", source=str(folder / CERTIFICATE_FILE)) from None
    if (folder / KEY_FILE).stat().st_mode & 0o077:
        raise ConfigError(
            "others may read the key that makes new parties",
            remedy=f"chmod 600 {folder / KEY_FILE}; if somebody did read it, provision again",
            source=str(folder / KEY_FILE),
        )
    signing_key(credential)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ConfigError(
            f"is valid until {certificate.not_valid_after_utc:%Y-%m-%d} only",
            remedy="set this machine's clock, or provision the federation again",
            source=str(folder / CERTIFICATE_FILE),
        )
    register = folder / REGISTER_FILE
    return Authority(
        folder=folder,
        settings=load(folder / SETTINGS_FILE, AuthoritySettings),
        plan=load_plan(folder / PLAN_FILE),
        credential=credential,
        register=validate(read_json(register, MAX_REGISTER_BYTES), Register, source=str(register)),
    )


def _settings_dump(settings: AuthoritySettings) -> dict[str, object]:
    return settings.model_dump(mode="json", exclude_none=True)
