"""Run the API's process: `python -m serving.api`."""

from __future__ import annotations

import logging
import sys

import redis.asyncio
import structlog
import uvicorn
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from config.errors import UserError
from config.logging import configure
from config.settings import Settings, settings
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from serving.api.app import create
from serving.api.context import Context, RedisValues
from serving.listener import bound, listener
from serving.page.hub import Hub
from serving.process import freeze

log = structlog.get_logger(__name__)


def context(configured: Settings) -> Context:
    """Make the clients that the settings ask for.

    Nothing is connected yet: the API starts without its dependencies and says so in /readyz.
    """
    client = redis.asyncio.Redis.from_url(
        configured.redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        # Retry once: a connection that died with an old Redis does not deserve a 503.
        retry=Retry(NoBackoff(), 1),
        max_connections=256,
    )
    return Context(
        configured,
        RedisValues(client),
        Codec(Registry(configured.registry_url, attempts=1, timeout=2)),
    )


class Server(uvicorn.Server):
    """Uvicorn that freezes what start-up made, and ends the page's streams before it stops."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Start, then freeze."""
        await super().startup(sockets)  # type: ignore[arg-type]
        freeze()
        log.info("started", url=f"http://{self.config.host}:{self.config.port}")

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """End the streams, which never end by themselves, then stop."""
        await self._hub.close()
        await super().shutdown(sockets)  # type: ignore[arg-type]


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    configured = settings()
    configure("api", configured)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log each call of the registry
    try:
        app = create(context(configured))
    except UserError as error:
        log.critical("cannot start", error=str(error))
        sys.stderr.write(f"serving.api: {error}\n")
        return 2
    host, port = configured.host, configured.port("api")
    config = listener(app, host, port, lifespan="on", timeout_graceful_shutdown=10)
    Server(config, app.state.page.hub).run([bound(config)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
