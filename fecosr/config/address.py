"""Host and port, as configurations and options write them."""

import re
from typing import Annotated

from pydantic import AfterValidator

from fecosr.errors import ConfigError

MOST_PORT = 65535


def address(text: str) -> str:
    """Return `text` if it is a host or IPv4 address and a port; raise ValueError otherwise."""
    match = re.fullmatch(r"[A-Za-z0-9.\-]+:(\d{1,5})", text)
    if match is None or int(match[1]) > MOST_PORT:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return text


Address = Annotated[str, AfterValidator(address)]


def address_option(name: str, text: str) -> str:
    """Return the value `text` of the command line option `name`, which stands in for a configured address.

    Raises:
        ConfigError: it is none.
    """
    try:
        return address(text)
    except ValueError as error:
        raise ConfigError(str(error), remedy="write for example 10.0.0.7:7443", source=name) from None
