"""Builds web assets into web/static/built: the font's subset, style sheets, packed twins, and their manifest.

`python -m web.build`, after `npm ci` has put the font's package into node_modules.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from web import assets

FONT = Path(__file__).parents[1] / "node_modules/vazirmatn/fonts/webfonts/Vazirmatn[wght].woff2"
UNICODES = (
    "U+0020-007E,U+00A0,U+00AB,U+00B7,U+00BB,U+00D7,U+0600-0603,U+060C,U+0615,U+061B,U+061F,U+0621-063A,"
    "U+0640-0655,U+0660-066C,U+0670,U+0674,U+067E,U+0686,U+0698,U+06A9,U+06AF,U+06C0,U+06CC,U+06D5,U+06F0-06F9,"
    "U+200C-200F,U+2010-2015,U+2018-201E,U+2022,U+2026,U+2030,U+2039,U+203A,U+2066-2069,U+2190-2193,U+2212,U+2713,U+FDFC"
)


def subset(source: Path) -> bytes:
    """The font with Persian and Latin only, all layout features, as WOFF2."""
    from fontTools.subset import Options, Subsetter, load_font, parse_unicodes, save_font

    options = Options(flavor="woff2", layout_features=["*"], notdef_outline=True)
    font = load_font(str(source), options)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=parse_unicodes(UNICODES))
    subsetter.subset(font)
    target = assets.BUILT / "subset.tmp"
    save_font(font, str(target), options)
    data = target.read_bytes()
    target.unlink()
    return data


def write(name: str, data: bytes, manifest: dict[str, str]) -> str:
    """Write one file under its hashed name with its packed twins; returns that name."""
    import brotli  # type: ignore[import-untyped]

    target = assets.BUILT / assets.hashed(name, data)
    target.write_bytes(data)
    if target.suffix != ".woff2":
        target.with_name(target.name + ".gz").write_bytes(gzip.compress(data, 9, mtime=0))
        target.with_name(target.name + ".br").write_bytes(brotli.compress(data))
    manifest[name] = target.name
    return target.name


def main() -> int:
    """Build everything anew; 1 when the font's package is missing."""
    if not FONT.exists():
        print(f"{FONT} is missing: run npm ci --ignore-scripts first", file=sys.stderr)
        return 1
    assets.BUILT.mkdir(parents=True, exist_ok=True)
    for old in assets.BUILT.iterdir():
        old.unlink()
    manifest: dict[str, str] = {}
    font = write("vazirmatn.woff2", subset(FONT), manifest)
    for name in assets.BUNDLES:
        write(name, assets.bundle(name, f"/static/{font}").encode(), manifest)
    for name, data in assets.plain().items():
        write(name, data, manifest)
    (assets.BUILT / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    print(json.dumps({name: (assets.BUILT / file).stat().st_size for name, file in manifest.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
