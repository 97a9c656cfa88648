"""What a configuration says about the pages that a process shows its operator; without it there are none."""

from pathlib import Path

from fecosr.config.address import Address
from fecosr.config.toml import Section


class WebSection(Section):
    """Say where dashboard and metrics are to be seen, and by whom.

    Attributes:
        listen: where; only this machine unless written otherwise.
        token: file with what a visitor must know, its owner's alone; made at the first start.
        certificate: PEM file to serve with; without it that of the kit. `key` likewise.
        plain_http: serve without encryption, for whoever has a proxy in front that encrypts.
        audit: file that somebody puts the newest output of `fecosr audit --out` in.
    """

    listen: Address = "127.0.0.1:9443"
    token: Path = Path("web.token")
    certificate: Path | None = None
    key: Path | None = None
    plain_http: bool = False
    audit: Path = Path("audit.json")

    def under(self, folder: Path) -> "WebSection":
        """Return the same files as paths from `folder`."""
        certificate = self.certificate and folder / self.certificate
        key = self.key and folder / self.key
        files = {"token": folder / self.token, "audit": folder / self.audit}
        return self.model_copy(update={**files, "certificate": certificate, "key": key})
