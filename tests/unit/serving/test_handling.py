"""What a consumer cannot use goes to quarantine, and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS, write_long
from serving.business import keys
from serving.business.consumer import Business
from serving.consumers.handling import Handler
from serving.consumers.product import Incoming, Result
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.serving.kafka_fake import FakeMessage
from tests.unit.serving.loops import Bench, Breaks, JsonCodec, message


def test_poison_goes_to_quarantine_and_the_rest_goes_on() -> None:
    bench = Bench([message("a", 0), FakeMessage(b"no", 1), message("b", 2)])
    bench.loop.run()
    topic, key, value = bench.producer.sent[-1]
    quarantined = json.loads(value)
    assert (topic, key) == ("quarantine", b"fraud-features")
    assert (quarantined["reason"], quarantined["source_offset"], quarantined["value"]) == (
        "malformed",
        1,
        "no",
    )
    assert quarantined["job"] == "consumer/echo"
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.commits == [{0: 3}]


def test_a_record_that_breaks_the_product_is_put_aside_and_the_rest_goes_on() -> None:
    bench = Bench(
        [message("a", 0), message("bad", 1), message("b", 2), FakeMessage(b"no", 3)],
        product=Breaks("bad"),
    )
    bench.loop.run()
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert [(one["source_offset"], one["reason"]) for one in bench.quarantined()] == [
        (3, "malformed"),
        (1, "refused"),
    ]
    assert bench.quarantined()[1]["detail"] == "OverflowError: date value out of range"
    assert [key for topic, key, _ in bench.producer.sent if topic == "fraud-scores"] == [b"a", b"b"]
    assert bench.consumer.commits == [{0: 4}]
    assert bench.value("millrace_consumer_quarantined_total") == 2


def test_a_batch_of_one_that_breaks_the_product_is_put_aside() -> None:
    bench = Bench([message("bad", 0), message("a", 1)], product=Breaks("bad"), batch=1)
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0]
    assert set(bench.store.values) == {"e:a"}


def test_a_product_that_every_record_breaks_stops_and_nothing_is_put_aside() -> None:
    messages = [message("x", 0), message("y", 1), FakeMessage(b"no", 2)]
    bench = Bench(messages, product=Breaks("x", "y", error=KeyError("amount")))
    with pytest.raises(KeyError):
        bench.loop.run()
    assert bench.quarantined() == []
    assert bench.consumer.commits == []


def test_a_product_broken_by_one_record_after_the_other_stops_before_long() -> None:
    bench = Bench([message("x", number) for number in range(9)], product=Breaks("x"), batch=1)
    with pytest.raises(OverflowError):
        bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0, 1]


@pytest.mark.parametrize(
    "error", [UserError("no such schema"), FileNotFoundError("model.txt"), MemoryError()]
)
def test_a_fault_of_the_environment_puts_nothing_aside(error: Exception) -> None:
    bench = Bench([message("x", 0)], product=Breaks("x", error=error))
    with pytest.raises(type(error)):
        bench.loop.run()
    assert bench.quarantined() == []
    assert bench.consumer.commits == []


def test_bad_records_between_good_ones_never_stop_it() -> None:
    names = ["x", "x", "a", "x", "x", "b", "x"]
    bench = Bench(
        [message(name, place) for place, name in enumerate(names)], product=Breaks("x"), batch=1
    )
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0, 1, 3, 4, 6]


def test_what_the_product_itself_refuses_may_be_everything() -> None:
    refusal = UnreadableError("refused", "no such shop")
    bench = Bench([message("x", place) for place in range(5)], product=Breaks("x", error=refusal))
    bench.loop.run()
    assert [one["detail"] for one in bench.quarantined()] == ["no such shop"] * 5


def test_a_product_away_for_one_record_is_waited_for() -> None:
    class Away(Breaks):
        calls = 0

        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            self.calls += 1
            if self.calls == 2:
                raise RetryableError("no model")
            return super().handle(batch)

    bench = Bench([message("x", 0), message("a", 1)], product=Away("x"))
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0]
    assert set(bench.store.values) == {"e:a"}


def test_a_result_that_fits_no_contract_is_not_even_stored() -> None:
    unfit = FakeMessage(json.dumps({"id": "a", "t": 1, "reading": "nan"}).encode(), 0)
    bench = Bench([unfit, message("b", 1)])
    bench.loop.run()
    assert set(bench.store.values) == {"e:b"}
    assert [one["detail"] for one in bench.quarantined()] == [
        "RefusedError: reading: nan is not finite"
    ]


def test_a_result_larger_than_the_topic_takes_is_not_even_stored() -> None:
    bench = Bench([message("a" * 3_200_000, 0), message("b" * 3_200_000, 1)])
    bench.loop.run()
    assert bench.store.values == {}
    assert all("more than fraud-scores takes" in one["detail"] for one in bench.quarantined())
    assert bench.consumer.commits == [{0: 2}]


def test_poison_too_large_for_quarantine_is_cut() -> None:
    poison = FakeMessage(b"no" * 2_500_000, 1)
    codec = JsonCodec()
    codec.poison = {b"no", poison.data}
    bench = Bench([poison], codec=codec)
    bench.loop.run()
    (aside,) = bench.quarantined()
    kept = len(aside["value"])
    assert (
        aside["detail"]
        == f"it says no; too large: of its value's 5000000 bytes the first {kept} are kept"
    )
    assert 4_000_000 < kept < 4_194_304
    assert len(bench.producer.sent[0][2]) < topics()["quarantine"].room
    assert bench.consumer.commits == [{0: 2}]


def test_kafka_s_time_of_a_poison_may_be_any() -> None:
    bench = Bench(
        [
            FakeMessage(b"no", 0, stamp=1_760_000_000_000_000),
            FakeMessage(b"no", 1, stamp=-(1 << 62)),
        ]
    )
    bench.loop.run()
    assert [one["source_time"] for one in bench.quarantined()] == [LATEST_MS, EARLIEST_MS]


class Unread(Business):
    """Without a topic to read first."""

    rebuild = None


def test_a_time_that_no_calendar_holds_is_put_aside_and_not_met_again_for_ever() -> None:
    codec = Codec(FakeRegistry().client())
    window = {
        "window_end": 60_000,
        "orders": 0,
        "gmv": 0.0,
        "unpriced_lines": 0,
        "active_visitors": 0,
        "buyers": 0,
    }
    good = codec.encode(
        "business-metrics", {**window, "window_start": 0, "conversion": None, "events": 1}
    )
    place = good.index(b"\x00", 5)
    bad = good[:place] + write_long(1_760_000_000_000_000) + good[place + 1 :]
    bench = Bench(
        [
            FakeMessage(bad, 0, source="business-metrics"),
            FakeMessage(good, 1, source="business-metrics"),
        ],
        codec=codec,
        product=Unread(),
    )
    bench.loop.run()
    assert set(bench.store.values) == {keys.window("1m", "0")}
    ((topic, _, value),) = bench.producer.sent
    aside = codec.decode(topic, value)
    assert (aside["reason"], aside["detail"]) == (
        "refused",
        "window_start is out of range: 1760000000000000",
    )
    assert aside["value"] == bad


def test_of_another_readers_topic_only_the_named_record_is_handled() -> None:
    codec = Codec(FakeRegistry().client())
    label = {
        "transaction_id": "t",
        "event_time": 1,
        "customer_id": "c",
        "terminal_id": "m",
        "is_fraud": True,
    }
    payment = {key: value for key, value in label.items() if key != "is_fraud"} | {"amount": 1.0}
    good = codec.encode("transactions", label, "FraudLabel")
    values = [codec.encode("transactions", payment), good, good[:-1], b"no", b"", None]
    messages: list[Any] = [
        FakeMessage(value, place, source="transactions") for place, value in enumerate(values)
    ]

    class Verdicts(Breaks):
        only: Mapping[str, str] = {"transactions": "FraudLabel"}

        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            return [Result() for _ in batch]

    batch = Handler(Verdicts(), codec).handle(messages)
    assert [made.message and made.message.offset() for made in batch.made] == [1]
    assert batch.poison == []
