"""Run the schema registry.

Apicurio 2.6 with its Confluent-compatible API, on an H2 file so that ids survive restarts.
"""

from __future__ import annotations

from config.settings import Settings
from millrace.stack.layout import Layout
from millrace.stack.parts.jvm import FIRST_COMPILER, clear_temporary, java, temporary


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment that configures Apicurio (Quarkus)."""
    database = settings.state_dir / "registry" / "registry"
    return {
        "QUARKUS_HTTP_HOST": settings.host,
        "QUARKUS_HTTP_PORT": str(settings.port("registry")),
        # WRITE_DELAY=0: an id is on disk before it is given out, so a kill cannot lose it.
        "REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{database};DB_CLOSE_ON_EXIT=FALSE;WRITE_DELAY=0",
        "QUARKUS_LOG_CONSOLE_COLOR": "false",
        "QUARKUS_BANNER_ENABLED": "false",
    }


def command(settings: Settings) -> tuple[str, ...]:
    """Return the registry's command line; the runner's manifest holds its class path."""
    layout = Layout.of(settings)
    return (
        java(),
        f"-Xmx{settings.registry_heap}",
        "-XX:+UseSerialGC",
        *FIRST_COMPILER,
        "-XX:+ExitOnOutOfMemoryError",
        temporary(layout, "registry"),
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-cp",
        str(layout.registry_jar),
        "io.quarkus.runner.GeneratedMain",
    )


def prepare(settings: Settings) -> None:
    """Create the database's folder."""
    clear_temporary(Layout.of(settings), "registry")
    (settings.state_dir / "registry").mkdir(parents=True, exist_ok=True)
