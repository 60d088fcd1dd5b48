"""The rolling job for quixstreams: a StreamingDataFrame with state in its RocksDB store.

On: at-least-once; RocksDB state written and flushed at the commit every `--interval` seconds,
offsets committed with it (its defaults but for the interval). Off: changelog topics, which would
write every state to Kafka once more: what counts here is durable state on local disk. State is
stored as bytes through `marshal`, the fastest serialiser of the standard library, in place of
quixstreams' JSON.
"""

from __future__ import annotations

import marshal
from typing import Any

from quixstreams import Application
from quixstreams.state import State

from benchmarks.peers.arguments import parse
from benchmarks.peers.codec import Codec
from benchmarks.peers.tiles import apply, empty


def main() -> None:
    arguments = parse()
    codec = Codec(arguments.in_schema, arguments.out_schema, arguments.out_id)
    linger = 0 if arguments.low_latency else 50
    application = Application(
        broker_address=arguments.bootstrap,
        consumer_group=arguments.sink,
        auto_offset_reset=arguments.reset,
        commit_interval=arguments.interval,
        state_dir=arguments.state_dir,
        use_changelog_topics=False,
        auto_create_topics=False,
        producer_extra_config={
            "linger.ms": linger,
            "compression.type": "lz4",
            "batch.num.messages": 10_000,
        },
        consumer_extra_config={"queued.min.messages": 100_000},
        loglevel="WARNING",
    )
    source = application.topic(
        arguments.source, key_deserializer="bytes", value_deserializer="bytes"
    )
    sink = application.topic(arguments.sink, key_serializer="bytes", value_serializer="bytes")

    def rolling(value: bytes, state: State) -> bytes:
        record = codec.decode(value)
        stored = state.get_bytes("tiles")
        tiles: list[Any] = empty() if stored is None else marshal.loads(stored)  # noqa: S302 - our own state
        values = apply(tiles, record["event_time"], record["amount"])
        state.set_bytes("tiles", marshal.dumps(tiles))
        return codec.encode(record, values)

    frame = application.dataframe(source).apply(rolling, stateful=True)
    frame.to_topic(sink)
    application.run()


if __name__ == "__main__":
    main()
