"""Say in time that a certificate is about to expire, when somebody still has a working day to act."""

from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

WARNING_DAYS: Final = 30


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return for how many whole days `certificate` is still good; negative when it expired."""
    return (certificate.not_valid_after_utc - now).days


def warn_of_expiry(log: structlog.typing.FilteringBoundLogger, now: datetime, *files: Path) -> None:
    """Log `certificate_expires_soon` for every certificate among `files` with few days left.

    What cannot be read is passed over: whoever needs the file complains about it in better words.
    """
    for file in files:
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError):
            continue
        left = days_left(certificate, now)
        if left < WARNING_DAYS:
            log.warning(
                "certificate_expires_soon",
                file=str(file),
                days_left=left,
                remedy="fecosr provision rotate, then approve, package and accept",
            )
