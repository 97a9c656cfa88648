"""Packages that must not be accepted."""

import contextlib
import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fecosr.config.parties import load_identity, load_node, load_roster
from fecosr.crypto.labels import sha256
from fecosr.errors import ConfigError, CryptoError
from fecosr.ids import COORDINATOR
from fecosr.provisioning.federation_file import FederationFile
from fecosr.rpc.tls import TlsFiles, check_leaf
from tests.reference.enrolment_office import DAY, DE, FR, NOW, Office, contents


@pytest.fixture
def enrolled(office: Office) -> Office:
    office.enrol(COORDINATOR, DE, FR)
    return office


def refused(office: Office, package: Path, now: datetime = NOW) -> str:
    before = contents(office.kit("de"))
    with pytest.raises((ConfigError, CryptoError)) as caught:
        office.accept(DE, package, now)
    assert contents(office.kit("de")) == before, "nothing half-written"
    return str(caught.value)


def test_another_partys_package_is_refused(enrolled: Office) -> None:
    assert "this package is for fr, this kit is de's" in refused(enrolled, enrolled.package(FR))


def test_a_package_of_another_authority_is_refused(
    enrolled: Office, tmp_path: Path, federation: FederationFile
) -> None:
    other = Office(tmp_path / "other", federation)
    other.enrol(COORDINATOR, DE, FR)
    assert "from another authority than the one this kit pins" in refused(enrolled, other.package(DE))


def test_a_package_for_other_keys_is_refused(enrolled: Office, tmp_path: Path) -> None:
    package = enrolled.package(DE)
    kit = enrolled.kit("de")
    for path in sorted(kit.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    enrolled.request(DE)
    assert "not for a key of this kit" in refused(enrolled, package)


def test_an_expired_certificate_is_refused(enrolled: Office) -> None:
    assert "is valid from" in refused(enrolled, enrolled.package(DE), NOW + 366 * DAY)


def test_an_older_package_than_the_kit_holds_is_refused(running: Office) -> None:
    old = running.package(DE)
    running.approve(running.rotate(FR, NOW + DAY, new_identity=True), NOW + DAY)
    running.accept(DE, running.package(DE, NOW + DAY), NOW + DAY)
    assert "somebody sent an old one" in refused(running, old, NOW + DAY)


def rezipped(package: Path, change: Callable[[dict[str, bytes]], None], **how: Any) -> Path:
    with zipfile.ZipFile(package) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    out = package.with_name("changed.fecosr-kit")
    with zipfile.ZipFile(out, "w", **how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


def test_a_changed_roster_is_noticed_even_if_the_manifest_is_changed_with_it(enrolled: Office) -> None:
    def swap(files: dict[str, bytes]) -> None:
        files["roster.toml"] = files["roster.toml"].replace(b"fr =", b"uk =")

    def swap_and_list(files: dict[str, bytes]) -> None:
        swap(files)
        manifest = json.loads(files["package.json"])
        manifest["files"]["roster.toml"] = sha256(files["roster.toml"]).hex()
        files["package.json"] = json.dumps(manifest).encode()

    package = enrolled.package(DE)
    assert "roster.toml is not the file that was packed" in refused(enrolled, rezipped(package, swap))
    assert "not signed by the authority" in refused(enrolled, rezipped(package, swap_and_list))


def test_an_archive_of_anything_else_is_refused(enrolled: Office) -> None:
    package = enrolled.package(DE)

    def add(name: str) -> Callable[[dict[str, bytes]], None]:
        return lambda files: files.update({name: b"x"})

    assert "files that no kit has" in refused(enrolled, rezipped(package, add("../../etc/cron.d/x")))
    assert "files that no kit has" in refused(enrolled, rezipped(package, add("tls/key.pem")))
    assert "exactly the files of a kit" in refused(
        enrolled, rezipped(package, add("initial_model.safetensors"))
    )
    assert "exactly the files of a kit" in refused(
        enrolled, rezipped(package, lambda files: files.__delitem__("tls/revoked.pem"))
    )
    deflated = rezipped(package, lambda _: None, compression=zipfile.ZIP_DEFLATED)
    assert "compressed or too large" in refused(enrolled, deflated)
    package.write_bytes(b"PK\x03\x04 and no more")
    assert "is not a kit package" in refused(enrolled, package)
    assert "cannot be read" in refused(enrolled, package.with_name("absent"))


def test_a_crash_while_a_package_is_taken_over_is_finished_by_the_same_command(
    running: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = NOW + DAY
    running.approve(running.rotate(DE, later, new_identity=True), later)
    package = running.package(DE, later)
    renamed = Path.replace
    for moves in range(9):
        left = [moves]

        def replace(self: Path, target: Path, left: list[int] = left) -> Path:
            if not left[0]:
                raise OSError(5, "power cut")
            left[0] -= 1
            return renamed(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with contextlib.suppress(ConfigError):
            running.accept(DE, package, later)
            break
    monkeypatch.setattr(Path, "replace", renamed)
    running.accept(DE, package, later)
    node = load_node(running.kit("de") / "node.toml")
    check_leaf(TlsFiles(node.tls.ca, node.tls.certificate, node.tls.key), later)
    assert load_roster(node.roster).nodes[DE] == load_identity(node.identity).public
    assert sorted(path.name for path in running.kit("de").iterdir()) == [
        "identity.key",
        "node.toml",
        "package.json",
        "plan.toml",
        "roster.toml",
        "tls",
    ]
