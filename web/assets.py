"""Static files under names that carry their hash: built ones where they were built, plain styles where not."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
STYLES = HERE / "styles"
STATIC = HERE / "static"
BUILT = STATIC / "built"
BUNDLES = {
    "portal.css": ("tokens", "base", "form", "page", "print"),
    "console.css": ("tokens", "base", "form", "console", "print"),
}
TYPES = {".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".js": "text/javascript"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, with its packed twins by content encoding."""

    data: bytes
    type: str
    packed: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files in memory (about 200 KB), by hashed name."""

    files: dict[str, Asset]
    names: dict[str, str]  #: plain name → hashed name

    def url(self, name: str) -> str:
        """The address of a file by its plain name; '' where it was not built."""
        return f"/static/{self.names[name]}" if name in self.names else ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`GET /static/{name}`: kept by browsers for good, packed where they take it."""
        asset = self.files.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        accepted = request.headers.get("Accept-Encoding", "")
        for encoding, data in asset.packed.items():
            if encoding in accepted:
                headers["Content-Encoding"] = encoding
                return web.Response(body=data, content_type=asset.type, headers=headers)
        return web.Response(body=asset.data, content_type=asset.type, headers=headers)


def load(built: Path = BUILT) -> Assets:
    """Built files by their manifest; without them the plain styles and system fonts, said once in the log."""
    manifest = built / "manifest.json"
    if not manifest.exists():
        log.warning("web assets are not built, pages use system fonts: python -m web.build")
        return _of({name: bundle(name).encode() for name in BUNDLES} | plain())
    names: dict[str, str] = json.loads(manifest.read_text())
    files = {}
    for hashed in names.values():
        path = built / hashed
        twins = {"br": path.with_name(hashed + ".br"), "gzip": path.with_name(hashed + ".gz")}
        packed = {encoding: twin.read_bytes() for encoding, twin in twins.items() if twin.exists()}
        files[hashed] = Asset(path.read_bytes(), TYPES[path.suffix], packed)
    return Assets(files, names)


def bundle(name: str, font: str = "") -> str:
    """The style sheet `name`, its parts in order; `font` is the address of the built font."""
    parts = [(STYLES / f"{part}.css").read_text() for part in BUNDLES[name]]
    if font:
        parts.insert(0, (STYLES / "font.css").read_text().replace("FONT", font))
    return "\n".join(parts)


def plain() -> dict[str, bytes]:
    """Files that need no building."""
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in (".svg", ".js")}


def hashed(name: str, data: bytes) -> str:
    """`name` with 10 hex digits of its content's hash."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}.{hashlib.sha256(data).hexdigest()[:10]}{dot}{ending}"


def _of(plain_files: dict[str, bytes]) -> Assets:
    names = {name: hashed(name, data) for name, data in plain_files.items()}
    files = {
        names[name]: Asset(data, TYPES[Path(name).suffix], {"gzip": gzip.compress(data, mtime=0)})
        for name, data in plain_files.items()
    }
    return Assets(files, names)
