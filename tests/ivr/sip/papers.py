"""Certificates for lines of tests, and settings with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme


@pytest.fixture(scope="module")
def papers(tmp_path_factory) -> Path:
    """A folder with an authority, a certificate for localhost and its key, and a stranger's authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    return folder


def bound(transport: str, papers: Path) -> dict[str, object]:
    return {"bind": (f"{transport}:127.0.0.1:0",), "cert": str(papers / "cert.pem"), "key": str(papers / "key.pem")}
