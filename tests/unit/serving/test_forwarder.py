from __future__ import annotations

from serving.consumers.product import Incoming
from serving.fraud.forwarder import Forwarder

VERDICT = {
    "transaction_id": "t1",
    "event_time": 1_523_145_600_123,
    "customer_id": "c1",
    "terminal_id": "m1",
    "is_fraud": True,
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
