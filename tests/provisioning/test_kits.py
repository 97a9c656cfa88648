import errno
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from fecosr.config.parties import load_coordinator, load_identity, load_node, load_roster
from fecosr.config.plan import load_plan
from fecosr.errors import ConfigError
from fecosr.ids import NodeId
from fecosr.provisioning.acceptance import accept
from fecosr.provisioning.approval import approve
from fecosr.provisioning.authority import open_authority
from fecosr.provisioning.enrolment import begin_rotation
from fecosr.provisioning.federation_file import FederationFile
from fecosr.provisioning.kits import AUTHORITY_FOLDER, Kits
from fecosr.provisioning.package import make_package, read_package
from fecosr.rpc.revocation import verify_revocations
from fecosr.rpc.tls import TlsFiles, check_leaf
from fecosr.storage.parameters import read_parameters
from fecosr.training.parameters import initial_shared_vector
from tests.reference.enrolment_office import DATA, DAY, DE, NOW, counting_entropy

MakeKits = Callable[..., Kits]


def test_every_party_can_load_its_kit_and_finds_itself_in_the_roster(
    make_kits: MakeKits, tmp_path: Path
) -> None:
    kits = make_kits(tmp_path / "kits")

    coordinator = load_coordinator(kits.coordinator)
    assert coordinator.listen == "0.0.0.0:7443"
    assert load_roster(coordinator.roster).coordinator == load_identity(coordinator.identity).public
    assert kits.nodes.keys() == {"ca", "de"}
    for name, path in kits.nodes.items():
        node = load_node(path)
        assert (node.market, node.coordinator) == (name, "fed.example.org:7443")
        assert load_roster(node.roster).nodes[name] == load_identity(node.identity).public
    machines = [load_node(path) for _, path in sorted(kits.nodes.items())]
    assert [(node.num_threads, node.device) for node in machines] == [(1, "auto"), (2, "cpu")]


def test_everybody_gets_the_same_plan_and_it_is_the_one_that_was_given(
    make_kits: MakeKits, federation: FederationFile, tmp_path: Path
) -> None:
    kits = make_kits(tmp_path / "kits")
    folders = [kits.coordinator.parent, *(path.parent for path in kits.nodes.values())]

    assert {load_plan(folder / "plan.toml").hash() for folder in folders} == {federation.plan.hash()}
    assert len({(folder / "roster.toml").read_bytes() for folder in folders}) == 1


def test_the_initial_model_is_what_the_plan_implies(
    make_kits: MakeKits, federation: FederationFile, tmp_path: Path
) -> None:
    config = load_coordinator(make_kits(tmp_path / "kits").coordinator)

    plan = federation.plan
    expected = initial_shared_vector(plan.encoder, plan.semantics, plan.run.seed)
    assert (read_parameters(config.initial_model) == expected).all()


def test_private_keys_are_their_owners_alone(make_kits: MakeKits, tmp_path: Path) -> None:
    make_kits(tmp_path / "kits")

    keys = sorted(path.relative_to(tmp_path / "kits") for path in (tmp_path / "kits").rglob("*key*"))
    assert [str(key) for key in keys] == [
        f"{AUTHORITY_FOLDER}/key.pem",
        "ca/identity.key",
        "ca/tls/key.pem",
        "coordinator/identity.key",
        "coordinator/tls/key.pem",
        "de/identity.key",
        "de/tls/key.pem",
    ]
    assert {stat.S_IMODE((tmp_path / "kits" / key).stat().st_mode) for key in keys} == {0o600}
    folders = [path for path in (tmp_path / "kits").rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in [tmp_path / "kits", *folders]} == {0o700}


def test_no_secret_stands_in_more_than_one_kit(make_kits: MakeKits, tmp_path: Path) -> None:
    make_kits(tmp_path / "kits")

    secrets = [path.read_bytes() for path in (tmp_path / "kits").rglob("*key*")]
    everything = [path.read_bytes() for path in (tmp_path / "kits").rglob("*") if path.is_file()]
    assert all(sum(secret in content for content in everything) == 1 for secret in secrets)


def test_the_coordinators_certificate_is_for_the_host_the_nodes_dial(
    make_kits: MakeKits, tmp_path: Path
) -> None:
    config = load_coordinator(make_kits(tmp_path / "kits").coordinator)

    certificate = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["fed.example.org"]


def test_state_goes_where_it_was_told_to(make_kits: MakeKits, tmp_path: Path) -> None:
    kits = make_kits(tmp_path / "kits", tmp_path / "run")

    assert load_coordinator(kits.coordinator).storage == tmp_path / "run" / "coordinator"
    assert load_node(kits.nodes[NodeId("de")]).storage == tmp_path / "run" / "de"


def test_kits_are_never_overwritten(make_kits: MakeKits, tmp_path: Path) -> None:
    kits = make_kits(tmp_path / "kits")
    before = kits.coordinator.with_name("identity.key").read_bytes()

    with pytest.raises(ConfigError, match="never overwritten"):
        make_kits(tmp_path / "kits")

    assert kits.coordinator.with_name("identity.key").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["federation.toml", "kits"]


def test_an_empty_folder_is_free(make_kits: MakeKits, tmp_path: Path) -> None:
    (tmp_path / "kits").mkdir()

    assert make_kits(tmp_path / "kits").coordinator.exists()


def test_what_fails_in_the_middle_leaves_nothing(
    make_kits: MakeKits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("fecosr.provisioning.kits.issue_node", full)

    with pytest.raises(ConfigError, match="cannot be written: no space left on device"):
        make_kits(tmp_path / "kits")

    assert [path.name for path in tmp_path.iterdir()] == ["federation.toml"]


def test_kits_that_were_provisioned_together_can_be_renewed_one_by_one(
    make_kits: MakeKits, tmp_path: Path
) -> None:
    kits, later = make_kits(tmp_path / "kits"), NOW + 20 * DAY
    kit = kits.nodes[DE].parent
    request = begin_rotation(kit, later, counting_entropy())
    with open_authority(tmp_path / "kits" / AUTHORITY_FOLDER, later) as authority:
        renewed = authority.store(approve(authority, request, later, confirmed=None), later)
    package = tmp_path / "de.fecosr-kit"
    package.write_bytes(make_package(renewed, DE, later))
    accepted = accept(kit, read_package(package), later, DATA)
    assert (accepted.config, accepted.config_written) == (kit / "node.toml", False)
    tls = load_node(kit / "node.toml").tls
    check_leaf(TlsFiles(tls.ca, tls.certificate, tls.key), later + 25 * DAY)


def test_nobody_is_revoked_in_a_new_kit(make_kits: MakeKits, tmp_path: Path) -> None:
    tls = load_coordinator(make_kits(tmp_path / "kits").coordinator).tls
    authority = x509.load_pem_x509_certificate(tls.ca.read_bytes())
    assert verify_revocations(tls.revoked.read_bytes(), authority).serials == frozenset()
