"""Walk back from a decision: the event, the vector, the score, the model, what it learnt from.

The lake has all of it. What it lacks comes from the API, which has the decision, and from Kafka,
where the decision says the records are; what is nowhere is said to be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from config.errors import RetryableError, UserError
from config.settings import Settings
from domain.times import iso, milliseconds
from ingestion.kafka.tail import Line, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack import api
from millrace.stack.layout import Layout
from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.store import Store

PRODUCT = "fraud"
TRANSACTIONS, VECTORS, SCORES = "transactions", "fraud-features", "fraud-scores"
_TIMES = ("event_time", "produced_at", "features_at", "scored_at")
_MOST_READ = 20_000

Document = dict[str, Any]
Lines = Callable[[str, int], Iterator[Line]]
"""The records of a topic from a time (ms) on. May raise RetryableError."""


@dataclass
class Explanation:
    """All that was found of a payment, as JSON types; times are ISO 8601.

    `missing` says of each part that was not found where it was looked for.
    """

    transaction_id: str
    payment: Document | None = None
    verdicts: list[Document] = field(default_factory=list)
    vector: Document | None = None
    score: Document | None = None
    model: Document | None = None
    missing: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Return whether anything is known of the payment."""
        return bool(self.payment or self.verdicts or self.vector or self.score)

    def as_dict(self) -> Document:
        """Return it as JSON types."""
        return dict(vars(self))


def explain(
    settings: Settings,
    transaction_id: str,
    decision: Callable[[Settings, str], Document | None] | None = None,
    lines: Lines | None = None,
) -> Explanation:
    """Return what is known of a payment. Raise UserError if that is nothing.

    `decision` asks the API, `lines` reads Kafka: both only where the lake lacks something.
    """
    found = Explanation(transaction_id)
    _from_lake(settings, found)
    if found.payment is None or found.vector is None or found.score is None:
        _from_stream(settings, found, decision or asked, lines or (lambda *at: read(settings, *at)))
    if not found.found:
        raise UserError(f"nothing is known of {transaction_id!r}: {'; '.join(found.missing)}")
    version = (found.score or {}).get("record", {}).get("model_version")
    if version is not None:
        found.model = _model(settings, found, version)
    return found


def _from_lake(settings: Settings, found: Explanation) -> None:
    try:
        from lakehouse.catalog import catalog
        from lakehouse.fraud.trace import trace
        from lakehouse.query import connect

        with connect(settings.lake_memory, settings.lake_spill) as con:
            lake = catalog(settings)
            records = trace(con, lake, found.transaction_id)
            if records.absent:
                found.missing.append(f"the lake has no {', '.join(records.absent)}")
            found.payment = _first(records.payments)
            found.verdicts = [_document(one) for one in records.verdicts]
            found.vector = _first(records.vectors)
            found.score = _first(records.scores)
            if found.vector is not None:
                found.vector["recomputed"] = _recomputed(settings, con, lake, found.transaction_id)
    except ModuleNotFoundError:
        found.missing.append("the lake's libraries are not installed")
    except Exception as error:
        # Whatever the catalog's library raises if it is away: there are other places to look.
        found.missing.append(f"the lake does not answer: {error!r}")


def _first(records: list[Any]) -> Document | None:
    return {**_document(records[0]), "repeats": len(records) - 1} if records else None


def _document(one: Any) -> Document:
    return _placed("lake", one.topic, (one.partition, one.offset, one.time), one.fields)


def _placed(
    source: str, topic: str, place: tuple[int, int, int], record: Mapping[str, Any]
) -> Document:
    partition, offset, time = place
    shown = {
        name: iso(value) if name in _TIMES and isinstance(value, int) else value
        for name, value in record.items()
    }
    return {
        "source": source,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "time": iso(time),
        "record": shown,
    }


def _recomputed(settings: Settings, con: Any, lake: Any, transaction_id: str) -> str:
    """Say whether the vector comes out again."""
    from lakehouse.fraud.log import Log
    from lakehouse.fraud.verification import Verifier

    log = Log(con, lake)
    (vector, *_) = log.vectors(
        "transaction_id = $id", {"id": transaction_id}, "_partition, _offset"
    )
    one = Verifier(log, settings.event_ahead_ms).verify(vector)
    if one.why is not None:
        return f"not verifiable: {one.why}"
    if one.differing:
        return f"differs in {', '.join(one.differing)}"
    return f"equal to the bit, from {one.rows} records"


def _from_stream(
    settings: Settings,
    found: Explanation,
    decision: Callable[[Settings, str], Document | None],
    lines: Lines,
) -> None:
    """Fill in what the lake lacks, from the decision and the places that it names."""
    try:
        score = decision(settings, found.transaction_id)
    except RetryableError as error:
        found.missing.append(str(error))
        score = None
    if score is None:
        record = found.score["record"] if found.score else None
    else:
        record = score
        if found.score is None:
            found.score = {"source": "redis", "record": score}
    if record is None:
        found.missing.append("no decision is known, which would say where in Kafka to look")
        return
    try:
        if found.payment is None:
            found.payment = _in_kafka(found, lines, TRANSACTIONS, record, "produced_at")
        if found.vector is None:
            found.vector = _in_kafka(found, lines, VECTORS, record, "features_at")
    except RetryableError as error:
        found.missing.append(str(error))


def _in_kafka(
    found: Explanation, lines: Lines, topic: str, record: Mapping[str, Any], time: str
) -> Document | None:
    """Return the payment's record on a topic, from Kafka's time that its decision names."""
    if time not in record:
        found.missing.append(f"the decision does not say {time}")
        return None
    for line in islice(lines(topic, milliseconds(record[time])), _MOST_READ):
        known = line.record
        if known is None or known["transaction_id"] != found.transaction_id:
            continue
        if topic == VECTORS or (line.name == "Transaction" and line.offset == record["sequence"]):
            return _placed("kafka", topic, (line.partition, line.offset, line.time), known)
    found.missing.append(f"{topic} does not have it (any more)")
    return None


def _model(settings: Settings, found: Explanation, version: str) -> Document | None:
    """Return what the card of a model says of how it was made."""
    store = Store(Layout.of(settings).models / PRODUCT)
    try:
        card = store.card(version)
        states = {one.version: one.state for one in store.listed()}
    except (UnusableModelError, UserError) as error:
        found.missing.append(f"the model's card cannot be read: {error}")
        return None
    details = card.details
    made = details.get("retraining", {})
    if not made:
        found.missing.append("the model was trained by hand: its card names no run of MLflow")
    return {
        "version": version,
        "state": states.get(version, ""),
        "kind": card.kind,
        "files": dict(card.files),
        "feature_set_version": card.feature_set_version,
        # Both are in the digest that the version ends with: other thresholds are another version.
        "rules": {name: details.get(name) for name in ("thresholds", "targets", "costs")},
        "mlflow_run": made.get("mlflow_run"),
        "logical_date": made.get("logical_date"),
        "snapshots": made.get("snapshots", {}),
        "data": details.get("data", {}),
        "split": {
            name: {**part, "from": iso(part["from"]), "to": iso(part["to"])}
            for name, part in details.get("split", {}).items()
        },
        "metrics": details.get("metrics", {}).get("test", {}),
    }


def asked(settings: Settings, transaction_id: str) -> Document | None:
    """Return the decision that the API reads from Redis, or None if there is none.

    Raise RetryableError if the API does not answer.
    """
    try:
        path = f"/v1/fraud/transactions/{quote(transaction_id, safe='')}"
        found: Document | None = api.get(settings, path)
    except HTTPError as error:
        raise RetryableError(f"the API answers {error.code}") from error
    except (URLError, OSError) as error:
        at = f"{settings.host}:{settings.port('api')}"
        raise RetryableError(f"the API does not answer at {at}") from error
    return found


def read(settings: Settings, topic: str, since: int) -> Iterator[Line]:
    """Yield what a topic has now, from a time on. Raise RetryableError if Kafka is away."""
    consumer = reader(settings.kafka_bootstrap)
    try:
        with Registry(settings.registry_url, attempts=1) as registry:
            tail = Tail(consumer, Codec(registry), topic, Start("time", since))
            yield from tail.lines(follow=False)
    finally:
        consumer.close()
