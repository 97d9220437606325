"""Serves the operations page: the files of ``web/``, read and compressed once when the process starts.

Only what was found there then can be asked for, so that no path leads out of the folder.
"""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from api.documents import Document, document, respond

FOLDER = Path(__file__).resolve().parent.parent / "web"
PAGE = "/{path:path}"
"""The route of every path that no other takes."""

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_COMPRESSED_ALREADY = {".png", ".woff2"}


def read_page(folder: Path = FOLDER) -> dict[str, Document]:
    """Each file of the page by its path on the server; ``/`` is ``index.html``."""
    found = {}
    for path in sorted(folder.rglob("*")):
        media_type = _MEDIA_TYPES.get(path.suffix)
        if path.is_file() and media_type is not None:
            body = path.read_bytes()
            made = document(body, media_type, compressible=path.suffix not in _COMPRESSED_ALREADY)
            found["/" + path.relative_to(folder).as_posix()] = made
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def page_router(files: dict[str, Document]) -> APIRouter:
    """The catch-all route: it must be the last one."""
    router = APIRouter()

    @router.api_route(PAGE, methods=["GET", "HEAD"], include_in_schema=False)
    async def get_file(request: Request, path: str) -> Response:
        found = files.get(f"/{path}")
        if found is None:
            allowed = _methods(request)
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))}) if allowed else HTTPException(404)
        return respond(request, found, {"Cache-Control": "no-cache"})

    return router


def _methods(request: Request) -> set[str]:
    """What other routes of this path take: then it is the method that is wrong, and not the path."""
    found: set[str] = set()
    for included in request.app.routes:
        for route in getattr(getattr(included, "original_router", None), "routes", ()):
            if isinstance(route, Route) and route.path_regex.match(request.url.path):
                found |= route.methods or set()
    return found - {"GET", "HEAD"}
