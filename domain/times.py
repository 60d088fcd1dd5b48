"""Convert times: ISO 8601 and milliseconds, exact both ways in what documents hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """Return `1500` as `1970-01-01T00:00:01.500Z`. Raise OverflowError outside years 1 to 9999."""
    second, rest = divmod(milliseconds, 1000)
    return f"{_second(second)}.{rest:03d}Z"


@lru_cache(maxsize=256)  # the times of a batch lie close together
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")[:-6]


def moment(text: str) -> datetime:
    """Return the time that a text says; one without a zone counts as UTC. Raise ValueError."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def since_epoch(when: datetime) -> int:
    """Return whole milliseconds since 1970, the rest cut off; `when` has a zone."""
    return (when - _EPOCH) // _MILLISECOND


def nearest(when: datetime) -> int:
    """Return whole milliseconds since 1970, the rest rounded; `when` has a zone."""
    return round(when.timestamp() * 1000)


def milliseconds(text: str) -> int:
    """Invert `iso`; a time without a zone counts as UTC. Raise ValueError."""
    return since_epoch(moment(text))


def document_of(record: Mapping[str, Any], times: Iterable[str]) -> dict[str, Any]:
    """Return a record as documents hold it: the fields named in `times` as ISO 8601."""
    return {**record, **{name: iso(record[name]) for name in times}}


def record_of(document: Mapping[str, Any], times: Iterable[str]) -> dict[str, Any]:
    """Invert `document_of`; a time that an older release did not write is absent."""
    return {
        **document,
        **{name: milliseconds(document[name]) for name in times if name in document},
    }
