"""Look at what [web] asks for: libraries, certificate, token, port; the token is not made yet."""

import socket
from collections.abc import Iterator

from fecosr.provisioning.preflight.disk import in_use
from fecosr.provisioning.preflight.findings import Finding, failure, ok, warning
from fecosr.provisioning.preflight.kit import Kit
from fecosr.web.server import CertificateFiles, serving_context
from fecosr.web.token import read_token


def check_pages(kit: Kit) -> Iterator[Finding]:
    """Check that dashboard and metrics can be served as configured; nothing where nobody wants them.

    Raises:
        ConfigError: libraries, certificate or token cannot be used.
    """
    web = kit.config.web
    if web is None:
        return
    context = serving_context(web, CertificateFiles(kit.tls.certificate, kit.tls.key))
    if web.token.exists():
        read_token(web.token)
    host, _, port = web.listen.rpartition(":")
    try:
        socket.create_server((host, int(port))).close()
    except OSError as error:
        if not in_use(kit):
            message = f"{web.listen} cannot be listened on: {error.strerror}"
            yield failure("web", message, "name another address in [web] listen")
            return
    is_local = host == "localhost" or host.startswith("127.")
    if context is None and not is_local:
        remedy = "leave plain_http out, or keep it to this machine behind something that encrypts"
        yield warning("web", f"{web.listen} shows the token to whoever listens on the way", remedy)
    else:
        yield ok("web", f"{web.listen} is free; the token stands in {web.token}")
