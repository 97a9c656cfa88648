"""The few addresses there are. All are read-only; all but one ask who is there."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.resources import files
from typing import Any, Final, Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from fecosr.web.token import Token

HEALTH: Final = "/healthz"
QUIET_SECONDS: Final = 10.0
"""At most one line about refused visitors is logged in this time, so that nobody can fill the log."""

_PAGE: Final = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/charts.js": ("charts.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }.items()
)
_CHALLENGE: Final = {"www-authenticate": 'Basic realm="FeCoSR", charset="UTF-8"'}

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Pages(Protocol):
    """Know what there is to see. Called from the web thread only, and must not wait for anything."""

    @property
    def has_dashboard(self) -> bool:
        """Say whether there is more to see than metrics."""

    def is_ready(self) -> bool:
        """Say whether the process does its work, for whoever restarts it otherwise."""

    def state(self) -> tuple[str, bytes]:
        """Return what the dashboard shows as JSON, and a tag that changes with it."""

    def metrics(self) -> tuple[str, bytes]:
        """Return a content type and the metrics."""


def application(pages: Pages, token: Token) -> App:
    """Return the whole of what is served."""
    routes = [Route(HEALTH, _health(pages)), Route("/metrics", _metrics(pages))]
    if pages.has_dashboard:
        routes.append(Route("/state.json", _state(pages)))
        routes.extend(Route(path, _asset(*asset)) for path, asset in _PAGE.items())
    # A whole Starlette would answer a failure itself, and let it be noted only after the visitor has gone.
    return _Guard(Router(routes=routes), token)


Endpoint = Callable[[Request], Awaitable[Response]]


def _health(pages: Pages) -> Endpoint:
    async def health(_request: Request) -> Response:
        ready = pages.is_ready()
        return Response(b"ok\n" if ready else b"starting\n", 200 if ready else 503, media_type="text/plain")

    return health


def _metrics(pages: Pages) -> Endpoint:
    async def metrics(_request: Request) -> Response:
        content_type, body = pages.metrics()
        return Response(body, headers={"content-type": content_type})

    return metrics


def _state(pages: Pages) -> Endpoint:
    async def state(request: Request) -> Response:
        tag, body = pages.state()
        headers = {"etag": f'"{tag}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return state


def _asset(name: str, media_type: str) -> Endpoint:
    content = files("fecosr.web").joinpath("assets", name).read_bytes()

    async def asset(_request: Request) -> Response:
        return Response(content, media_type=media_type)

    return asset


class _Guard:
    """Let nobody past who does not know the token, and nothing out without the headers that protect it."""

    def __init__(self, inner: App, token: Token) -> None:
        self._inner = inner
        self._token = token
        self._quiet_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        has_begun = False

        async def protected(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            await self._answer(scope)(scope, receive, protected)
        except Exception as error:  # noqa: BLE001 - what fails here must not be seen, nor end the thread
            _log.error("web_request_failed", error=type(error).__name__)
            if not has_begun:
                await Response(b"Internal Server Error", 500)(scope, receive, protected)

    def _answer(self, scope: Scope) -> App:
        if scope["method"] not in {"GET", "HEAD"}:
            return Response(b"read-only\n", 405, headers={"allow": "GET, HEAD"})
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if scope["path"] == HEALTH or (len(given) == 1 and self._token.admits(given[0])):
            return self._inner
        self._note_refusal()
        return Response(b"the token is needed\n", 401, headers=_CHALLENGE)

    def _note_refusal(self) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            _log.warning("web_visitor_refused")
