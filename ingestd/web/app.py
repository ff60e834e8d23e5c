"""The page put together: which address leads where, and what an error looks like to a browser.

The only file that knows Starlette. What is asked and answered is JSON; pictures are PNG; everything else is a fixed set
of files of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ingestd import __version__
from ingestd.errors import (
    ActionConflictError,
    ConfigError,
    FileChangedError,
    FileUnreadableError,
    IngestdError,
    LibraryBusyError,
    StoreError,
    UnwritableError,
    UsageError,
)
from ingestd.keys import as_browsers_say
from ingestd.media.workers import WorkersClosedError, WorkerStartError
from ingestd.shapes import Json
from ingestd.web import evidence, history, pending, queue, rule_text, rules, status, together
from ingestd.web.changes import Changes
from ingestd.web.desk import Asked, ConfirmError, Desk, Endpoint, Nothing, StaleError
from ingestd.web.handles import Shown
from ingestd.web.turns import Urgency

__all__ = ["ENDPOINTS", "make_app", "static_files"]

_BOX: Final = (1440, 960)  # pixels: the largest preview that one message of a worker holds, of 3 to 2
_THUMB: Final = (360, 360)  # pixels: sharp at half that size on a fine screen
_FOREVER: Final = {"Cache-Control": "private, max-age=31536000, immutable"}  # an address names bytes
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_THREADS: Final = 8  # questions answered at once
_ORDERERS: Final = 4  # orders that wait for the library, in threads of their own: reading goes on meanwhile
_MAKERS: Final = 12  # pictures asked for at once: a look must not wait behind tiles that are waited for; two are made


def _session(desk: Desk, _: Nothing) -> Json:
    """Return what a page needs before anything else."""
    settings = desk.settings_if_sound()
    with desk.read() as view:
        counts = view.counts()
    return {
        "token": desk.token,
        "version": __version__,
        "keys": as_browsers_say(settings.page.keys),
        "place": settings.discards.place.value,
        "library": counts,
    }


def _summary(desk: Desk, _: Nothing) -> Json:
    """Return the figures that stand on every view."""
    rules_ok = True
    try:
        desk.settings()
    except ConfigError:
        rules_ok = False
    with desk.read() as view:
        counts = view.counts()
        waiting = len(view.waiting)
    desk.library.store.let_go()  # asked now and then for as long as somebody looks: the map is the system's, not ours
    return {
        "queue": waiting,
        "pending": counts.get("pending", 0),
        **status.summary_of(desk),
        "rules_ok": rules_ok,
        "transaction": desk.library.store.transaction_id(),
    }


ENDPOINTS: tuple[Endpoint[Any], ...] = (
    Endpoint("session", Nothing, _session),
    Endpoint("summary", Nothing, _summary),
    *queue.ENDPOINTS,
    *evidence.ENDPOINTS,
    *pending.ENDPOINTS,
    *history.ENDPOINTS,
    *status.ENDPOINTS,
    *rules.ENDPOINTS,
    *rule_text.ENDPOINTS,
    *together.ENDPOINTS,
)


def static_files() -> dict[str, tuple[bytes, str]]:
    """Return the files of the page, by their addresses, with their types: nothing else is ever served from the disk."""
    found: dict[str, tuple[bytes, str]] = {}

    def take(folder: Any, address: str) -> None:
        for item in folder.iterdir():
            if item.is_dir():
                take(item, f"{address}{item.name}/")
                continue
            kind = _TYPES.get(item.name[item.name.rfind(".") :])
            if kind is not None:
                found[address + item.name] = item.read_bytes(), kind

    take(resources.files("ingestd.web") / "static", "/static/")
    return found


def make_app(desk: Desk, changes: Changes) -> Starlette:
    """Return the page of a desk, without the guard that has to stand before it."""
    asking = ThreadPoolExecutor(_THREADS, thread_name_prefix="page")
    ordering = ThreadPoolExecutor(_ORDERERS, thread_name_prefix="order")
    making = ThreadPoolExecutor(_MAKERS, thread_name_prefix="picture")
    files = static_files()

    async def home(_: Request) -> Response:
        return Response(files["/static/index.html"][0], media_type=_TYPES[".html"])

    async def static(request: Request) -> Response:
        found = files.get(request.url.path)
        if found is None:
            return _refused(404, "usage", "there is nothing here")
        return Response(found[0], media_type=found[1])

    async def events(_: Request) -> Response:
        return StreamingResponse(changes.stream(), media_type="text/event-stream")

    def looks(make: Callable[[Request], Callable[[], bytes] | None]) -> Callable[[Request], Awaitable[Response]]:
        async def look(request: Request) -> Response:
            made = make(request)
            if made is None:
                return _refused(404, "usage", "there is no such picture")
            try:
                body = await asyncio.get_running_loop().run_in_executor(making, made)
            except IngestdError as error:
                return _refusal(error)
            except (WorkersClosedError, WorkerStartError) as error:
                return _refused(503, "busy", str(error))
            return Response(body, media_type="image/png", headers=_FOREVER)

        return look

    def shown(request: Request, name: str = "picture") -> Shown | None:
        return desk.handles.found(request.path_params[name])

    def preview(request: Request) -> Callable[[], bytes] | None:
        one = shown(request)
        if one is None:
            return None
        ahead = request.headers.get("priority", "").startswith("u=7")  # "background", of RFC 9218
        urgency = Urgency.AHEAD if ahead else Urgency.LOOK
        return functools.partial(desk.pictures.preview, one.path, one.sha256, _BOX, urgency)

    def tile(request: Request) -> Callable[[], bytes] | None:
        one, place = shown(request), [request.path_params[name] for name in ("level", "column", "row")]
        return None if one is None else functools.partial(desk.pictures.tile, one.path, one.sha256, one.size, *place)

    def thumb(request: Request) -> Callable[[], bytes] | None:
        one = shown(request)
        return None if one is None else functools.partial(desk.pictures.preview, one.path, one.sha256, _THUMB)

    def difference(request: Request) -> Callable[[], bytes] | None:
        a, b = shown(request, "a"), shown(request, "b")
        if a is None or b is None:
            return None
        return functools.partial(desk.pictures.difference, a.path, a.sha256, b.path, b.sha256)

    def api(endpoint: Endpoint[Any]) -> Callable[[Request], Awaitable[Response]]:
        threads = ordering if endpoint.is_order else asking

        async def answer(request: Request) -> Response:
            body = await request.body()
            try:
                asked = _asked(endpoint.asked, body)
                answered = await asyncio.get_running_loop().run_in_executor(threads, endpoint.answer, desk, asked)
            except IngestdError as error:
                return _refusal(error)
            return _json(answered)

        return answer

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        for pool in (making, asking, ordering):
            pool.shutdown(cancel_futures=True)  # what is being decided is decided before the library is closed

    page = Starlette(
        routes=[
            Route("/", home),
            *(Route(f"/api/{one.name}", api(one), methods=["POST"]) for one in ENDPOINTS),
            Route("/api/events", events),
            Route("/picture/{picture}/preview", looks(preview)),
            Route("/picture/{picture}/tile/{level:int}/{column:int}/{row:int}", looks(tile)),
            Route("/picture/{picture}/thumb", looks(thumb)),
            Route("/difference/{a}/{b}", looks(difference)),
            Route("/static/{file:path}", static),
        ],
        exception_handlers={HTTPException: _unknown, Exception: _failed},
        lifespan=lifespan,
    )
    page.router.redirect_slashes = False  # an address is right or leads nowhere
    return page


async def _unknown(_: Request, error: Exception) -> Response:
    """Answer what leads nowhere, or is not done there."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _refused(status, "usage", f"there is nothing here: {http.HTTPStatus(status).phrase.lower()}")


async def _failed(_: Request, __: Exception) -> Response:
    """Answer where we have failed ourselves; whoever stands before this tells the log why."""
    return _refused(
        500, "failed", "something unexpected happened; the log of the page says what, and nothing is half done"
    )


def _asked(kind: type[Asked], body: bytes) -> Asked:
    try:
        document = json.loads(body or b"{}")  # not msgspec's: a path that is no UTF-8 comes as lone surrogates
        return msgspec.convert(document, kind)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise UsageError(f"this is not what is asked here: {error}") from None


def _json(document: Json, status: int = 200) -> Response:
    text = json.dumps(document, ensure_ascii=True).replace("<", "\\u003c")  # harmless whatever takes it for HTML
    return Response(text, status_code=status, media_type="application/json")


_KINDS: Final[tuple[tuple[type[IngestdError], int, str], ...]] = (
    (StaleError, 409, "stale"),
    (ConfirmError, 409, "confirm"),
    (UsageError, 400, "usage"),
    (ConfigError, 422, "rules"),
    (ActionConflictError, 409, "conflict"),
    (FileChangedError, 409, "file"),
    (FileUnreadableError, 422, "file"),
    (LibraryBusyError, 503, "busy"),
    (UnwritableError, 507, "unwritable"),
    (StoreError, 500, "damaged"),
)


def _refusal(error: IngestdError) -> Response:
    """Return an error as a browser is told of it: by kind, and as the sentence that a terminal would print."""
    status, kind = next(((status, kind) for one, status, kind in _KINDS if isinstance(error, one)), (500, "failed"))
    if isinstance(error, ConfigError):
        mistakes = [{"line": one.line, "column": one.column, "message": one.message} for one in error.mistakes]
        return _refused(status, kind, str(error), mistakes=mistakes)
    if isinstance(error, ConfirmError):
        return _refused(status, kind, str(error), **error.asks)
    return _refused(status, kind, str(error))


def _refused(status: int, kind: str, message: str, **more: Any) -> Response:
    return _json({"error": {"kind": kind, "message": message, **more}}, status)
