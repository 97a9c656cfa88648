"""Say in time that a certificate is about to expire, when somebody still has a working day to act."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509

WARNING_DAYS: Final = 30


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return for how many whole days `certificate` is still good; negative when it expired."""
    return (certificate.not_valid_after_utc - now).days


def expires_soon(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether less than 30 days are left, or a third of the time it was made for."""
    end = certificate.not_valid_after_utc
    lifetime = end - certificate.not_valid_before_utc
    return end - now < min(timedelta(days=WARNING_DAYS), lifetime / 3)


def warn_of_expiry(log: structlog.typing.FilteringBoundLogger, now: datetime, *files: Path) -> None:
    """Log `certificate_expires_soon` for every certificate among `files` that does.

    What cannot be read is passed over: whoever needs the file complains about it in better words.
    """
    for file in files:
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError):
            continue
        if expires_soon(certificate, now):
            log.warning(
                "certificate_expires_soon",
                file=str(file),
                days_left=days_left(certificate, now),
                remedy="fecosr provision rotate, then approve, package and accept",
            )
