"""Run Redis with its append-only file.

Answered writes survive a kill, except those of the last two seconds.
"""

from __future__ import annotations

from config.files import write
from config.settings import Settings
from millrace.stack.layout import Layout


def configuration(settings: Settings) -> dict[str, str]:
    """Return `redis.conf`."""
    return {
        "bind": settings.host,
        "port": str(settings.port("redis")),
        "dir": quoted(str(settings.state_dir / "redis")),
        "appendonly": "yes",
        # While a sync is slow, answers run up to two seconds ahead of the file. The consumers allow
        # for it: their commits trail by more, and they read again after a restart
        # (docs/decisions/0005). "always" triples p99.
        "appendfsync": "everysec",
        # Snapshots would only repeat what the append-only file holds.
        "save": '""',
        "daemonize": "no",
        "protected-mode": "no",
        # A rewrite of the file while a second of it is being synced must not stall the writes.
        "no-appendfsync-on-rewrite": "yes",
        # A rewrite takes a core for seconds. Doublings beyond this are too rare to show in p99.
        "auto-aof-rewrite-min-size": "1gb",
    }


def quoted(text: str) -> str:
    """Return a value quoted for `redis.conf`, as it may hold spaces or quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def command(settings: Settings) -> tuple[str, ...]:
    """Return Redis's command line."""
    return ("redis-server", str(settings.state_dir / "redis" / "redis.conf"))


def prepare(settings: Settings) -> None:
    """Write the configuration."""
    home = Layout.of(settings).state / "redis"
    write(
        home / "redis.conf",
        "".join(f"{key} {value}\n" for key, value in configuration(settings).items()),
    )
