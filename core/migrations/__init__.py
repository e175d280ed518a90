"""The one line of schema versions for both stores, run through Alembic on a connection that is handed in."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def _config(s: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = s
    return config


@cache
def _scripts() -> ScriptDirectory:
    """All versions; reading them takes as long as the rest of opening a store."""
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """The version this code is written for."""
    return _scripts().get_current_head() or ""


def known(version: str) -> bool:
    """Is `version` one of ours? A newer program's is not."""
    return any(script.revision == version for script in _scripts().walk_revisions())


def current(s: Connection) -> str | None:
    """The version the store is at; None for an empty one."""
    return MigrationContext.configure(s).get_current_revision()


def upgrade(s: Connection, to: str = "head") -> None:
    """Bring the store to version `to`. Whoever hands in `s` commits."""
    command.upgrade(_config(s), to)
