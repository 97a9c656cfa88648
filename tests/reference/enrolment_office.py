"""The federation's owner and the desks of the parties, each in a folder of its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fecosr.data.settings import DataSettings
from fecosr.ids import COORDINATOR, NodeId
from fecosr.provisioning.acceptance import Accepted, NewConfig, accept
from fecosr.provisioning.approval import approve
from fecosr.provisioning.authority import Authority, AuthoritySettings, found_authority
from fecosr.provisioning.enrolment import begin_enrolment, begin_rotation
from fecosr.provisioning.federation_file import FederationFile
from fecosr.provisioning.package import make_package, read_package
from fecosr.provisioning.request import EnrolmentRequest

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CA, DE, FR = NodeId("ca"), NodeId("de"), NodeId("fr")
DATA = NewConfig(DataSettings(kind="csv", path="orders.csv"))
DAY = timedelta(days=1)


def counting_entropy() -> Callable[[int], bytes]:
    calls = iter(range(1, 256))
    return lambda size: bytes([next(calls)]) * size


class Office:
    """The federation's owner, and the desks of the parties, each in a folder of its own."""

    def __init__(self, folder: Path, federation: FederationFile) -> None:
        self.folder = folder
        (folder / "authority").mkdir(parents=True)
        settings = AuthoritySettings(coordinator=federation.coordinator, certificate_days=365)
        self.authority: Authority = found_authority(folder / "authority", settings, federation.plan, NOW)
        self._entropy = counting_entropy()

    def kit(self, party: str) -> Path:
        return self.folder / party

    def request(self, party: NodeId, now: datetime = NOW) -> EnrolmentRequest:
        return begin_enrolment(self.kit(party), party, self.authority.fingerprint(), now, self._entropy)

    def rotate(self, party: NodeId, now: datetime, *, new_identity: bool = False) -> EnrolmentRequest:
        return begin_rotation(self.kit(party), now, self._entropy, new_identity=new_identity)

    def approve(
        self, request: EnrolmentRequest, now: datetime = NOW, *, confirmed: bytes | None = None
    ) -> None:
        register = approve(self.authority, request, now, confirmed=confirmed)
        self.authority = self.authority.store(register, now)

    def enrol(self, *parties: NodeId) -> None:
        for party in parties:
            request = self.request(party)
            self.approve(request, confirmed=request.fingerprint())

    def package(self, party: NodeId, now: datetime = NOW) -> Path:
        path = self.folder / f"{party}-{now:%Y%m%d%H%M}.fecosr-kit"
        model = b"model" if party == COORDINATOR else None
        path.write_bytes(make_package(self.authority, party, now, model))
        return path

    def accept(self, party: NodeId, package: Path, now: datetime = NOW) -> Accepted:
        return accept(self.kit(party), read_package(package), now, DATA)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
