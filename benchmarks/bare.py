"""Serve look-ups from Redis with the least a Python server can do, to hold the API against.

Run: python -m benchmarks.bare HOST PORT REDIS_URL
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.fraud import keys


def main(host: str, port: str, url: str) -> None:
    client: Any = redis.asyncio.Redis.from_url(url)

    async def look_up(request: Request) -> Response:
        data = await client.hget(keys.transaction(request.path_params["id"]), "d")
        return Response(data or b"{}", 200 if data else 404, media_type="application/json")

    app = Starlette(routes=[Route("/v1/fraud/transactions/{id}", look_up)])
    config = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
