"""The databases that Home Assistant's recorder can write to, and what may happen to them: each on this machine only."""

from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
import os
from pathlib import Path
import pwd
import shutil
import socket
import sqlite3
import subprocess
from tempfile import TemporaryDirectory
import time
from typing import TYPE_CHECKING, Any, Final, override

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RECORDERS: Final = ("sqlite", "mariadb", "postgresql")

STATISTICS: Final = ("statistics", "statistics_short_term")
WRITES: Final = ("INSERT", "UPDATE")

PATIENCE: Final = 60.0
"""Seconds that a server may take until it answers."""


class NoServerError(Exception):
    """A database server cannot be had here; the text says what to do about it."""


def memory() -> str | None:
    """Return a folder in memory for what is written all the time and needed by nobody later, if there is one."""
    folder = Path("/dev/shm")  # noqa: S108  # only folders of an unguessable name are made in it
    return str(folder) if os.access(folder, os.W_OK) else None


class Database(ABC):
    """A recorder's database, seen from outside of Home Assistant."""

    url: str

    @abstractmethod
    def keep(self, name: str) -> None:
        """Copy it as it is on the disk at this moment; a copy of that name is replaced."""

    @abstractmethod
    def put_back(self, name: str) -> None:
        """Replace it by a copy; Home Assistant has to be off."""

    @abstractmethod
    def delete(self) -> None:
        """Begin anew with nothing in it; Home Assistant has to be off."""

    @abstractmethod
    def refuse_statistics(self) -> None:
        """Let every statement that writes a row of statistics fail, as on a full disk."""

    @abstractmethod
    def accept_statistics(self) -> None:
        """Let them succeed again."""

    def execute(self, *statements: str) -> None:
        """Execute statements on a connection of its own, each in a transaction."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def column(self, query: str) -> list[str]:
        """Return the first column of what a query finds."""
        engine = create_engine(self.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            return [row[0] for row in connection.execute(text(query))]


class Sqlite(Database):
    """A file, and its copies beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    @override
    def keep(self, name: str) -> None:
        # The recorder's thread goes on meanwhile: files that are copied one after the other would not fit together.
        self._copy(name).unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(self._copy(name))) as target:
            source.backup(target)

    @override
    def put_back(self, name: str) -> None:
        self.delete()
        shutil.copyfile(self._copy(name), self.path)

    @override
    def delete(self) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{self.path}{end}").unlink(missing_ok=True)

    @override
    def refuse_statistics(self) -> None:
        # A trigger cannot raise what a full disk does; this is the same kind of error, which RAISE() is not.
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection, connection:
            for table, write in _writes():
                connection.execute(
                    f"CREATE TRIGGER IF NOT EXISTS full_{table}_{write} BEFORE {write} ON {table} "
                    "BEGIN SELECT abs(-9223372036854775808); END"
                )

    @override
    def accept_statistics(self) -> None:
        with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection, connection:
            for table, write in _writes():
                connection.execute(f"DROP TRIGGER IF EXISTS full_{table}_{write}")

    def damage(self) -> None:
        """Overwrite its beginning; Home Assistant has to be off."""
        content = self.path.read_bytes()
        self.delete()
        self.path.write_bytes(bytes(4096) + content[4096:])

    def _copy(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{name}")


class MariaDb(Database):
    """A database of a MariaDB server; its copies are databases, too."""

    def __init__(self, server: str, name: str) -> None:
        self._name = name
        self._server = server
        self._is_full = False
        self.url = f"{server}/{name}?charset=utf8mb4"
        self.delete()

    @override
    def keep(self, name: str) -> None:
        copy = f"{self._name}_{name}"
        statements = [f"DROP DATABASE IF EXISTS {copy}", f"CREATE DATABASE {copy}"]
        for table in self._tables():
            statements += [
                f"CREATE TABLE {copy}.{table} LIKE {table}",
                f"INSERT INTO {copy}.{table} SELECT * FROM {table}",  # noqa: S608  # names of ours
            ]
        self.execute(*statements)

    @override
    def put_back(self, name: str) -> None:
        is_full = self._is_full
        if is_full:
            self.accept_statistics()
        statements = ["SET FOREIGN_KEY_CHECKS = 0"]
        for table in self._tables():
            statements += [
                f"TRUNCATE TABLE {table}",
                f"INSERT INTO {table} SELECT * FROM {self._name}_{name}.{table}",  # noqa: S608  # as above
            ]
        self.execute(*statements)
        if is_full:
            self.refuse_statistics()

    @override
    def delete(self) -> None:
        server = create_engine(self._server, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {self._name}"))
            connection.execute(text(f"CREATE DATABASE {self._name} CHARACTER SET utf8mb4"))

    @override
    def refuse_statistics(self) -> None:
        self._is_full = True
        self.execute(
            *(
                f"CREATE OR REPLACE TRIGGER full_{table}_{write} BEFORE {write} ON {table} FOR EACH ROW "
                "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'Disk full'"
                for table, write in _writes()
            )
        )

    @override
    def accept_statistics(self) -> None:
        self._is_full = False
        self.execute(*(f"DROP TRIGGER IF EXISTS full_{table}_{write}" for table, write in _writes()))

    def _tables(self) -> list[str]:
        return self.column("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")


class PostgreSql(Database):
    """A database of a PostgreSQL server; its copies are schemas in it."""

    def __init__(self, server: str, name: str) -> None:
        self._name = name
        self._server = server
        self.url = f"{server}/{name}"
        self.delete()

    @override
    def keep(self, name: str) -> None:
        statements = [f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}"]
        statements += [f"CREATE TABLE {name}.{table} AS TABLE public.{table}" for table in self._tables()]
        self.execute(*statements)

    @override
    def put_back(self, name: str) -> None:
        tables = self._tables()
        statements = ["SET session_replication_role = replica", f"TRUNCATE {', '.join(tables)}"]
        statements += [f"INSERT INTO public.{table} SELECT * FROM {name}.{table}" for table in tables]  # noqa: S608
        self.execute(*statements)

    @override
    def delete(self) -> None:
        server = create_engine(f"{self._server}/postgres", poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {self._name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {self._name} ENCODING 'UTF8' TEMPLATE template0"))

    @override
    def refuse_statistics(self) -> None:
        self.execute(
            "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
            *(
                f"CREATE OR REPLACE TRIGGER full_{table}_{write} BEFORE {write} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION full_disk()"
                for table, write in _writes()
            ),
        )

    @override
    def accept_statistics(self) -> None:
        self.execute(*(f"DROP TRIGGER IF EXISTS full_{table}_{write} ON {table}" for table, write in _writes()))

    def _tables(self) -> list[str]:
        return self.column("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


def _writes() -> Iterable[tuple[str, str]]:
    return ((table, write) for table in STATISTICS for write in WRITES)


@contextmanager
def server(recorder: str) -> Iterator[str]:
    """Start a database server that nobody else uses, in a folder of its own, and return its URL.

    Raises:
        NoServerError: it is not installed, has no driver, or does not start.

    """
    with TemporaryDirectory(dir=memory(), prefix=f"{recorder}-") as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        prepare, start, url, user = _SERVERS[recorder](Path(folder), port)
        owner = user if os.geteuid() == 0 else None
        if owner is not None:
            try:
                account = pwd.getpwnam(owner)
            except KeyError:
                raise NoServerError(f"no {recorder} here: {ADVICE}") from None
            os.chown(folder, account.pw_uid, account.pw_gid)
        log = Path(folder, "log")
        with log.open("w") as output:
            how: dict[str, Any] = {"user": owner, "cwd": folder, "stdout": output, "stderr": output}
            if subprocess.run(prepare, check=False, **how).returncode:  # noqa: S603  # programs of the distribution
                raise NoServerError(f"{recorder} cannot be prepared: {log.read_text()[-500:]}")
            process = subprocess.Popen(start, **how)  # noqa: S603  # as above
        try:
            _wait(process, url if recorder == "mariadb" else f"{url}/postgres", log)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE)


ADVICE: Final = "scripts/setup --databases installs it, as root on Debian; elsewhere with your system's own means"


def _program(name: str, *folders: Path) -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *map(str, folders)])
    found = shutil.which(name, path=path)
    if found is None:
        raise NoServerError(f"no {name} here: {ADVICE}")
    return found


def _mariadb(folder: Path, port: int) -> tuple[list[str], list[str], str, str]:
    data = f"--datadir={folder}/data"
    prepare = [_program("mariadb-install-db"), "--no-defaults", data, "--auth-root-authentication-method=normal"]
    start = [
        _program("mariadbd"),
        "--no-defaults",
        data,
        "--bind-address=127.0.0.1",
        f"--port={port}",
        f"--socket={folder}/socket",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-log-bin",
    ]
    return prepare, start, f"mysql+pymysql://root@127.0.0.1:{port}", "mysql"


def _postgresql(folder: Path, port: int) -> tuple[list[str], list[str], str, str]:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    prepare = [_program("initdb", *versions), "-D", f"{folder}/data", "-A", "trust", "-U", "ha", "-N"]
    start = [_program("postgres", *versions), "-D", f"{folder}/data", "-p", str(port), "-k", str(folder)]
    start += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "synchronous_commit=off"]
    return prepare, start, f"postgresql://ha@127.0.0.1:{port}", "postgres"


_SERVERS: Final = {"mariadb": _mariadb, "postgresql": _postgresql}


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    try:
        engine = create_engine(url, poolclass=NullPool)
    except ModuleNotFoundError as error:
        raise NoServerError(f"no driver for {url.partition(':')[0]}: {error}") from error
    end = time.monotonic() + PATIENCE
    while True:
        try:
            engine.connect().close()
        except Exception as error:  # each driver has its own
            if process.poll() is not None or time.monotonic() > end:
                raise NoServerError(f"no answer: {log.read_text()[-500:]}") from error
            time.sleep(0.1)
        else:
            return


def database(recorder: str, url: str, name: str, folder: Path) -> Database:
    """Return an empty database; the file of an SQLite one is made by the recorder."""
    if recorder == "mariadb":
        return MariaDb(url, name)
    if recorder == "postgresql":
        return PostgreSql(url, name)
    return Sqlite(folder / f"{name}.db")
