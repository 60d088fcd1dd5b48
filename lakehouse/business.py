"""Compute the shop's windows from the events in the lake, in one query.

It shares nothing with the job `business_metrics` but the meaning of its figures (docs/metrics.md),
and gives the same numbers, exactly.
"""

from __future__ import annotations

from domain.shop.sessions import SESSIONS
from domain.shop.windows import MINUTE_MS, MOST
from domain.times import iso

TOP = 100
"""Items listed of a window at most."""
_PATH = (("viewed", "view"), ("carted", "addtocart"), ("purchased", "transaction"))


def windows(
    length_ms: int,
    events: str = "bronze.shop_events",
    scores: str = "bronze.fraud_scores",
    *,
    between: tuple[int, int] | None = None,
) -> str:
    """Return the query in DuckDB's SQL: a row for each window with an event of the shop.

    Columns are those of BusinessMetrics that are counts, sums in minor units or items;
    `window_start` is in ms since 1970. Give other tables with the columns of those two. With
    `between`, only events from the first time (ms) on, before the second, both bounds of windows.
    """
    within = _within(between)
    return f"""
    with once as (
      select event_id, event_type, user_id, item_id, transaction_id, quantity, _partition, _offset,
        epoch_ms(event_time) as ms, {_floor(length_ms)} as start, {_LINE} as line,
        {_minor("price", "quantity")} as minor
      from {events}{within}
      {_first("user_id", "event_id")}
    ),
    gaps as (
      select *, ms - lag(ms) over (
        partition by start, user_id order by ms, event_id, _partition, _offset
      ) > {SESSIONS.gap_ms} as gap from once
    ),
    clicks as (
      select *, count(*) filter (gap) over (
        partition by start, user_id order by ms, event_id, _partition, _offset
        rows unbounded preceding
      ) as session from gaps
    ),
    {_path("visitor", "start, user_id")},
    {_path("session", "start, user_id, session")},
    sold as (
      select start, item_id, sum(quantity)::bigint as units,
        coalesce(sum(minor), 0)::bigint as gmv
      from once where line group by all
    ),
    items as (
      select start, count(*) as items_sold,
        list(item_id order by gmv desc, units desc, item_id)[1:{TOP}] as items,
        list(units order by gmv desc, units desc, item_id)[1:{TOP}] as item_units,
        list(gmv order by gmv desc, units desc, item_id)[1:{TOP}] as item_gmv_minor
      from sold group by start
    ),
    shop as (
      select start, count(*) as events,
        count(distinct (user_id, transaction_id)) filter (line and transaction_id is not null)
          as orders,
        coalesce(sum(minor) filter (line), 0)::bigint as gmv_minor,
        count(*) filter (line and minor is null) as unpriced_lines,
        count(distinct user_id) as active_visitors,
        count(distinct user_id) filter (line) as buyers,
        count(distinct (user_id, session)) as sessions
      from clicks group by start
    ),
    paid as (
      select decision, {_floor(length_ms)} as start, coalesce({_minor("amount")}, 0) as minor
      from {scores}{within}
      {_first("customer_id", "transaction_id")}
    ),
    payments as (
      select start, count(*) as payments,
        count(*) filter (decision = 'review') as payments_reviewed,
        count(*) filter (decision = 'block') as payments_blocked,
        sum(minor)::bigint as paid_minor,
        coalesce(sum(minor) filter (decision = 'block'), 0)::bigint as blocked_minor
      from paid group by start
    )
    select shop.start as window_start, {_selected()}
    from shop left join payments using (start) left join items using (start)
    {" ".join(f"left join {scope}_{name} using (start)" for scope in _SCOPES for name, _ in _PATH)}
    order by 1"""


_LINE = "event_type = 'transaction'"
_SCOPES = ("visitor", "session")
_COUNTS = (
    "events",
    "orders",
    "gmv_minor",
    "unpriced_lines",
    "active_visitors",
    "buyers",
    "sessions",
    "payments",
    "payments_reviewed",
    "payments_blocked",
    "paid_minor",
    "blocked_minor",
    "items_sold",
)


def _within(between: tuple[int, int] | None) -> str:
    if between is None:
        return ""
    since, until = (f"timestamptz '{iso(bound)}'" for bound in between)
    return f" where event_time >= {since} and event_time < {until}"


def _floor(length_ms: int) -> str:
    return f"epoch_ms(event_time) // {length_ms} * {length_ms}"


def _minor(amount: str, times: str = "1") -> str:
    units = f"try_cast(round({amount} * 100) as bigint) * {times}"
    small = " and ".join(f"abs({one}) <= {MOST:E}" for one in (amount, f"{amount} * {times}"))
    return f"case when {small} then {units} end"


def _first(who: str, name: str) -> str:
    """Keep the first record of those with one id in one minute."""
    return (
        f"qualify row_number() over (partition by {who}, {name}, {_floor(MINUTE_MS)} "
        "order by _partition, _offset) = 1"
    )


def _path(scope: str, key: str) -> str:
    """Return the tables of who got how far, in order, by `key`, and how many by window."""
    parts = []
    for place, (name, event) in enumerate(_PATH):
        came = f"{scope}_{_PATH[place - 1][0]}_at" if place else ""
        joined = f"join {came} using ({key}) where ms >= since and" if place else "where"
        parts += [
            f"{scope}_{name}_at as (select {key}, min(ms) as since from clicks {joined} "
            f"event_type = '{event}' group by all)",
            f"{scope}_{name} as (select start, count(*) as {scope}_{name}s from {scope}_{name}_at "
            "group by start)",
        ]
    return ", ".join(parts)


def _selected() -> str:
    counts = [f"coalesce({name}, 0) as {name}" for name in _COUNTS]
    visitors = [f"coalesce(visitor_{name}s, 0) as {name}" for name, _ in _PATH]
    sessions = [f"coalesce(session_{name}s, 0) as sessions_{name}" for name, _ in _PATH]
    lists = [
        f"coalesce({name}, []) as {name}" for name in ("items", "item_units", "item_gmv_minor")
    ]
    return ", ".join((*counts, *visitors, *sessions, *lists))
