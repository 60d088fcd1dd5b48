from __future__ import annotations

from typing import Any

import orjson

from serving.consumers.product import Incoming, Result
from serving.fraud import keys
from serving.fraud.forwarder import Forwarder
from serving.store import MemoryStore

VERDICT: dict[str, Any] = {
    "transaction_id": "t1",
    "event_time": 1_523_145_600_123,
    "customer_id": "c1",
    "terminal_id": "m1",
    "is_fraud": True,
    "note": "",
}


def test_a_verdict_goes_where_its_payment_went() -> None:
    rows = [Incoming(VERDICT | {"transaction_id": f"t{n}"}, 5 + n, n) for n in range(2)]

    results = Forwarder().handle(rows)

    assert [result.writes for result in results] == [(), ()]
    outputs = [output for result in results for output in result.outputs]
    assert [(one.topic, one.key, one.schema) for one in outputs] == [
        ("transactions", "c1", "FraudLabel")
    ] * 2
    assert [one.record for one in outputs] == [row.record for row in rows]
    assert [result.origin for result in results] == [5, 6]


def test_verdicts_of_the_log_are_kept_the_later_one_stays() -> None:
    store = MemoryStore()
    later = VERDICT | {"event_time": VERDICT["event_time"] + 1, "is_fraud": False, "note": "mine"}
    rows = [
        Incoming(record, 1_523_145_600_200, offset, topic="transactions")
        for offset, record in enumerate([later, VERDICT])
    ]

    for result in Forwarder().handle(rows):
        assert result.outputs == ()
        store.apply(result.writes)

    stored = store.get(keys.verdict("t1"))
    assert stored is not None
    assert orjson.loads(stored.data) == {
        "fraud": False,
        "note": "mine",
        "known_at": "2018-04-08T00:00:00.124Z",
    }


def test_a_verdict_that_the_job_refuses_is_not_kept() -> None:
    ahead = Incoming(VERDICT, VERDICT["event_time"] - 1001, 0, topic="transactions")
    assert Forwarder(ahead_ms=1000).handle([ahead]) == [Result()]
