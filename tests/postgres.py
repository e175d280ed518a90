"""A PostgreSQL server of the tests' own: Debian's binaries, a cluster in a temporary folder, a socket of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

import asyncpg

from core import store

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def find() -> Path | None:
    """The newest installed server's `bin` folder, or None."""
    return next((folder for folder in FOLDERS if (folder / "initdb").exists()), None)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """Runs as `postgres` when we are root, which PostgreSQL refuses to run as."""

    def __init__(self, binaries: Path, *, durable: bool = True) -> None:
        self.binaries, self.durable = binaries, durable
        self.folder = Path(tempfile.mkdtemp(prefix="pasokh-pg-", dir="/tmp"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.user = "postgres" if os.geteuid() == 0 else None

    def __enter__(self) -> Server:
        if self.user:
            entry = pwd.getpwnam(self.user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8", "-N")
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c max_connections=100"
        options += "" if self.durable else " -c fsync=off"  # nobody cuts the power of a server of tests
        self._run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(self.folder / "log"), "start")
        return self

    def __exit__(self, *gone: object) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name: str, *args: str) -> None:
        subprocess.run(
            [str(self.binaries / name), *args],
            check=True,
            user=self.user,
            cwd="/tmp",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )


BLANKS: dict[str, str] = {}  # a server's URL -> the database with the newest schema that others are copied from


async def empty_database(server: str, *, like: str = "template1") -> str:
    """URL of a fresh database on `server`: an empty one, or a copy of the one named `like`."""
    name = f"t{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}"')
    finally:
        await connection.close()
    return server.rsplit("/", 1)[0] + f"/{name}"


async def drop_database(server: str, url: str) -> None:
    """Remove the database at `url`, also if somebody is still connected: hundreds of them would fill the disk."""
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f'DROP DATABASE "{url.rsplit("/", 1)[1]}" WITH (FORCE)')
    finally:
        await connection.close()


async def blank_database(server: str, folder: Path) -> str:
    """URL of a fresh database with the newest schema, which is made by the migrations once a server."""
    if server not in BLANKS:
        url = await empty_database(server)
        await store.migrate(url, folder)
        BLANKS[server] = url.rsplit("/", 1)[1]
    return await empty_database(server, like=BLANKS[server])
