"""Bring the parts of a forecast together: sales of the lake, uplifts that people set, the topic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import yaml

from config.errors import UserError
from config.files import locked, mapping, write
from config.settings import Settings
from domain.events import DemandForecast
from domain.inventory.demand import DAY_MS
from domain.inventory.forecasts import Uplift, Uplifts, uplift_of
from millrace import streaming
from millrace.stack.layout import Layout

if TYPE_CHECKING:
    from orchestration.inventory.sales import Sales

log = structlog.get_logger(__name__)
TOPIC = "demand-forecasts"
EVENTS, ITEMS = "bronze.shop_events", "bronze.shop_items"
STALE_DAYS = 7
"""Days without a sale after which the data count as old: then forecasts begin where they end."""


def uplifts(loaded: Settings) -> Uplifts:
    """Return the uplifts that people set. Raise UserError for a file that can't be read."""
    file = Layout.of(loaded).uplifts
    if not file.exists():
        return Uplifts()
    given = mapping(file).get("uplifts", [])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise UserError(f"{file}: `uplifts` is a list of mappings")
    found = []
    for number, one in enumerate(given, start=1):
        try:
            found.append(uplift_of(one))
        except ValueError as error:
            raise UserError(f"{file}, uplift {number}: {error}") from None
    return Uplifts(tuple(found))


def set_uplift(loaded: Settings, uplift: Uplift) -> Uplifts:
    """Keep an uplift, in place of one of the same name and days; return all."""
    with locked(_lock(loaded)):
        return _kept(loaded, uplifts(loaded).set(uplift))


def remove_uplifts(loaded: Settings, uplift: Uplift) -> Uplifts:
    """Remove the uplifts of an item or category. Raise UserError if there is none; return all."""
    with locked(_lock(loaded)):
        before = uplifts(loaded)
        after = before.without(uplift.of, uplift.name)
        if len(after.given) == len(before.given):
            raise UserError(f"no uplift of {uplift.of} {uplift.name}")
        return _kept(loaded, after)


def _lock(loaded: Settings) -> Path:
    file = Layout.of(loaded).uplifts
    return file.with_name(f".{file.name}.lock")


def _kept(loaded: Settings, all_of_them: Uplifts) -> Uplifts:
    document = {"uplifts": [one.document() for one in all_of_them.given]}
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    write(Layout.of(loaded).uplifts, text, durable=True)
    return all_of_them


def from_lake(loaded: Settings, until: date, days: int) -> tuple[Sales, dict[str, str]]:
    """Return the sales of the last `days` days before `until`, and the items' categories then.

    If the newest are old, the days are those before their end. An event that was delivered twice
    counts once. Raise TooLittleError if there are none.
    """
    from lakehouse.catalog import catalog, found
    from lakehouse.pinned import ask
    from lakehouse.query import connect
    from orchestration.inventory.sales import (
        TooLittleError,
        day_of,
        from_events,
        number_of,
    )

    lake = catalog(loaded)
    if found(lake, EVENTS) is None:
        raise TooLittleError(f"the lake has no {EVENTS} yet; --data PATH reads a file instead")
    with connect(loaded.lake_memory, loaded.lake_spill) as con:
        newest = ask(con, lake, _newest(until), (EVENTS,), {}).rows.to_pylist()[0]["newest"]
        if newest is None:
            raise TooLittleError(f"{EVENTS} before {until} holds no sale")
        end = day_of(_origin(newest // DAY_MS, number_of(until)))
        rows = ask(con, lake, _sales(end, days), (EVENTS,), {}).rows
        known = found(lake, ITEMS) is not None
        items = ask(con, lake, _categories(until), (ITEMS,), {}).rows.to_pylist() if known else []
    sales = from_events(rows, f"{EVENTS} before {until}")
    return sales, {one["item_id"]: one["category"] for one in items}


def _newest(until: date) -> str:
    return f"""
    select epoch_ms(max(event_time)) as newest
    from {EVENTS}
    where event_type in ('transaction', 'cancellation') and event_time < {_midnight(until)}
    """  # noqa: S608  (numbers and names of ours)


def _sales(until: date, days: int) -> str:
    return f"""
    select event_type, epoch_ms(event_time) as event_time, user_id, item_id, price, quantity
    from {EVENTS}
    where event_type in ('transaction', 'cancellation')
      and event_time < {_midnight(until)}
      and event_time >= {_midnight(until)} - interval {days} day
    qualify row_number() over (partition by event_id order by _partition, _offset) = 1
    order by event_time, event_id
    """  # noqa: S608  (numbers and names of ours)


def _categories(until: date) -> str:
    return f"""
    select item_id, arg_max(category, (event_time, _partition, _offset)) as category
    from {ITEMS}
    where event_time < {_midnight(until)} and category is not null
    group by item_id
    """  # noqa: S608  (numbers and names of ours)


def _midnight(day: date) -> str:
    return f"timestamptz '{day.isoformat()} 00:00:00+00'"


def origin_of(sales: Sales, until: int) -> int:
    """Return the first day to forecast: `until`, or where the sales end if they are old."""
    found = _origin(sales.last_day, until)
    if found != until:
        log.warning("sales are old: forecasts begin where they end", days=until - found)
    return found


def _origin(last_day: int, until: int) -> int:
    return until if until - last_day - 1 <= STALE_DAYS else last_day + 1


def send(forecasts: Iterable[DemandForecast]) -> int:
    """Write forecasts to their topic, acknowledged; return how many."""
    sent = 0
    with streaming.kafka("millrace-forecast", paced=False) as (sink, codec):
        for one in forecasts:
            sink.send(TOPIC, one.item_id, codec.encode(TOPIC, asdict(one)))
            sent += 1
        sink.flush()
    return sent
