"""What a coordinator's configuration says about a database; without it everything is on its own disk."""

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from fecosr.config.toml import Section
from fecosr.errors import ConfigError

_HOST: Final = r"(\[[0-9a-fA-F:.]+\]|[^][:/?#@,]*)(:[0-9]+)?"
_URL: Final = re.compile(
    rf"postgres(ql)?://([^:/?#@]+@)?({_HOST}(,{_HOST})*)?(/[^/?#@]*)?(\?(?P<query>[^#@?]*))?"
)
_SECRETS: Final = frozenset({"password", "sslpassword"})


def _without_password(url: str) -> str:
    """Return `url` unless it may hold a password; what it holds is not repeated."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("is not postgresql://USER@HOST:PORT/DATABASE, without a password")
    if any(pair.partition("=")[0] in _SECRETS for pair in (found["query"] or "").split("&")):
        raise ValueError("holds a password, which belongs into password_file")
    return url


class DatabaseSection(Section):
    """Say in which PostgreSQL database the coordinator keeps its run.

    Attributes:
        url: as libpq reads it, with several hosts if there are; the certificate of the server is verified
            unless the URL says otherwise (`sslmode`). It holds no password.
        password_file: a file with nothing but the password, its owner's alone; without it libpq looks where
            it always does (PGPASSFILE, PGPASSWORD, ~/.pgpass).
        standby: wait while another coordinator has the run, and take over when it is gone; otherwise end.
    """

    url: Annotated[str, AfterValidator(_without_password)]
    password_file: Path | None = None
    standby: bool = True

    def under(self, folder: Path) -> "DatabaseSection":
        """Return the same files as paths from `folder`."""
        return self.model_copy(update={"password_file": self.password_file and folder / self.password_file})

    def password(self) -> str | None:
        """Return the password; None: libpq is to find one itself.

        Raises:
            ConfigError: the file cannot be read, or others may read it.
        """
        path = self.password_file
        if path is None:
            return None
        try:
            text, mode = path.read_text(encoding="utf-8"), path.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "cannot be read", remedy=f"correct password_file ({type(error).__name__})", source=str(path)
            ) from None
        if mode & 0o077:
            raise ConfigError("others may read this password", remedy=f"chmod 600 {path}", source=str(path))
        return text.rstrip("\r\n")
