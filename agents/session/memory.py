"""Where threads are kept: an SQLite file whose content is checked, or Postgres."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from tools.core.errors import SettingsInvalid, SuperlinkError, shortened
from tools.storage.database import Database, connect

Saver = BaseCheckpointSaver[str]
"""Where the states of threads are kept."""


def open_saver(where: Path | str) -> Saver:
    """Open the memory of threads.

    Args:
        where: an SQLite file (made when missing), or "postgresql://user@host/database".

    Raises:
        SettingsInvalid: it cannot be opened, or the package for Postgres is missing. An SQLite file raises it later,
            too, when it cannot be read or written: it is locked, damaged or read-only, or the disk is full.
    """
    if str(where).startswith(("postgres://", "postgresql://")):
        return _postgres(str(where))
    # It survives the death of the process at any point, at a tenth of the cost of a full sync for each step. Only a
    # power cut may lose the last steps, which then run again.
    file = Path(where)
    connection = connect(
        file,
        "The memory of sessions",
        f"superlink repair {file.parent}",
        SettingsInvalid,
        timeout=30,
        isolation_level="",
    )
    saver = _CheckedSaver(connection, serde=ChecksumSerializer())
    try:
        saver.setup()
    except BaseException:
        connection.close()
        raise
    return saver


class ChecksumSerializer(JsonPlusSerializer):
    """Writes values with a checksum, as SQLite does not notice a changed byte. Values without one are read as well."""

    _MARK = "+crc32"

    def dumps_typed(self, obj: object) -> tuple[str, bytes]:
        """As of `JsonPlusSerializer`."""
        kind, data = super().dumps_typed(obj)
        return kind + self._MARK, data + crc32(data).to_bytes(4)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """As of `JsonPlusSerializer`.

        Raises:
            ValueError: the checksum differs.
        """
        kind, content = data
        if kind.endswith(self._MARK):
            kind, content, found = kind.removesuffix(self._MARK), content[:-4], content[-4:]
            if crc32(content).to_bytes(4) != found:
                raise ValueError("its checksum differs")
        return super().loads_typed((kind, content))


class _CheckedSaver(SqliteSaver):
    """Raises `Database.damaged` where SQLite can read the file, but its content is no checkpoint."""

    conn: Database

    def setup(self) -> None:
        with self._report_damage():
            super().setup()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with self._report_damage():
            found = super().get_tuple(config)
            if found is not None and not is_checkpoint(found.checkpoint):
                raise ValueError("a checkpoint lacks its parts")
        return found

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with self._report_damage():
            return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        with self._report_damage():
            super().put_writes(config, writes, task_id, task_path)

    def delete_thread(self, thread_id: str) -> None:
        with self._report_damage():
            super().delete_thread(thread_id)

    @contextmanager
    def _report_damage(self) -> Iterator[None]:
        """Report every error as damage: the calls are always the same, so only the content of the file can be wrong."""
        try:
            yield
        except (SuperlinkError, sqlite3.ProgrammingError):  # of a connection that was closed
            raise
        except Exception as error:
            raise self.conn.damage_error(f"{type(error).__name__}: {shortened(str(error))}") from error


def is_checkpoint(checkpoint: object) -> bool:
    """Whether a decoded value is a checkpoint with all of its parts."""
    return isinstance(checkpoint, dict) and {"channel_values", "channel_versions", "versions_seen"} <= checkpoint.keys()


def close_saver(saver: Saver) -> None:
    """Close what `open_saver` opened."""
    connection = getattr(saver, "conn", None)
    if connection is not None:
        with saver.lock:  # type: ignore[attr-defined]  # a thread of the machine may still be writing
            connection.close()


def _postgres(url: str) -> Saver:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver  # type: ignore[import-not-found,unused-ignore]
        from psycopg import Connection, Error  # type: ignore[import-not-found,unused-ignore]
        from psycopg.rows import dict_row  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise SettingsInvalid(
            "threads should be kept in Postgres, but its packages are missing",
            "Run: pip install 'superlink[postgres]'",
        ) from error
    try:
        connection = Connection.connect(url, autocommit=True, prepare_threshold=0, row_factory=dict_row)
        saver = PostgresSaver(connection)
        saver.setup()
    except Error as error:
        raise SettingsInvalid(
            f"Postgres cannot hold the threads: {error}", "Check the address and the server"
        ) from error
    return saver  # type: ignore[no-any-return,unused-ignore]
