"""Redis, with its append-only file: what was answered survives a kill."""

from __future__ import annotations

from config.settings import Settings
from millrace.stack.files import write
from millrace.stack.layout import Layout


def configuration(settings: Settings) -> dict[str, str]:
    """`redis.conf`."""
    return {
        "bind": settings.host,
        "port": str(settings.port("redis")),
        "dir": quoted(str(settings.state_dir / "redis")),
        "appendonly": "yes",
        # Once a turn of its loop, before it answers: the consumer commits its offsets on that answer. With a sync a
        # second an answer can run two seconds ahead of the file, and a kill lose decisions that nobody reads again.
        "appendfsync": "always",
        # Snapshots would only repeat what the append-only file holds.
        "save": '""',
        "daemonize": "no",
        "protected-mode": "no",
        # A rewrite takes a core for seconds: every doubling beyond this is seldom enough to be no part of p99.
        "auto-aof-rewrite-min-size": "1gb",
    }


def quoted(text: str) -> str:
    """A value as `redis.conf` needs it when it may hold spaces or quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def command(settings: Settings) -> tuple[str, ...]:
    """Redis's command line."""
    return ("redis-server", str(settings.state_dir / "redis" / "redis.conf"))


def prepare(settings: Settings) -> None:
    """Write the configuration."""
    home = Layout.of(settings).state / "redis"
    write(home / "redis.conf", "".join(f"{key} {value}\n" for key, value in configuration(settings).items()))
