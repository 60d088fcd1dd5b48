"""The rolling job for bytewax: decode by batch, a StatefulBatchLogic a key, Kafka in and out.

On: recovery (the state of every key touched and the offsets go into its SQLite partitions every
`--interval` seconds), at-least-once output. State itself lives in the process's memory: bytewax has
no state store on disk.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.arguments import parse
from benchmarks.peers.codec import Codec
from benchmarks.peers.tiles import State, apply, empty


def main() -> None:
    arguments = parse()
    codec = Codec(arguments.in_schema, arguments.out_schema, arguments.out_id)

    class Rolling(StatefulBatchLogic[dict[str, Any], KafkaSinkMessage[bytes, bytes], State]):  # type: ignore[misc]
        """The tiles of one customer."""

        def __init__(self, resumed: State | None) -> None:
            self.tiles = empty() if resumed is None else resumed

        def on_batch(self, values: list[dict[str, Any]]) -> tuple[list[Any], bool]:
            """Process this customer's events of the batch, in order."""
            return [
                KafkaSinkMessage(
                    record["customer_id"].encode(),
                    codec.encode(record, apply(self.tiles, record["event_time"], record["amount"])),
                )
                for record in values
            ], StatefulBatchLogic.RETAIN

        def snapshot(self) -> State:
            """Return what recovery keeps."""
            return copy.deepcopy(self.tiles)

    def decode(messages: list[Any]) -> list[tuple[str, dict[str, Any]]]:
        records = [codec.decode(message.value) for message in messages]
        return [(record["customer_id"], record) for record in records]

    brokers = [arguments.bootstrap]
    batch = 100 if arguments.low_latency else 10_000
    source = KafkaSource(brokers, [arguments.source], batch_size=batch)
    sink = KafkaSink(
        brokers,
        arguments.sink,
        add_config={"linger.ms": "0" if arguments.low_latency else "5", "compression.type": "lz4"},
    )
    flow = Dataflow("rolling")
    keyed = op.flat_map_batch("decode", op.input("source", flow, source), decode)
    rolled = op.stateful_batch("rolling", keyed, Rolling)
    op.output("sink", op.map("message", rolled, lambda pair: pair[1]), sink)
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    init_db_dir(arguments.state_dir, 1)
    recovery = RecoveryConfig(str(arguments.state_dir))
    cli_main(flow, epoch_interval=timedelta(seconds=arguments.interval), recovery_config=recovery)


if __name__ == "__main__":
    main()
