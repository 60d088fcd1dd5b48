"""The shop's windows counted literally, event by event, in no particular order.

Shares nothing with the job or the lake's query, and takes no short cut: a path is any view, cart
and order line of a visitor that come after one another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

GAP_MS, MINUTE_MS = 1_800_000, 60_000
Event = Mapping[str, Any]


def counted(
    length: int, events: Iterable[Event], payments: Iterable[Event]
) -> list[dict[str, Any]]:
    """Return the figures of each window with an event of the shop, by start.

    Repeated events count once.
    """
    by_window: dict[int, tuple[list[Event], list[Event]]] = defaultdict(lambda: ([], []))
    for one in _once(events, "user_id", "event_id"):
        by_window[one["event_time"] // length * length][0].append(one)
    for one in _once(payments, "customer_id", "transaction_id"):
        by_window[one["event_time"] // length * length][1].append(one)
    return [
        {"window_start": start, **_shop(clicks), **_paid(paid)}
        for start, (clicks, paid) in sorted(by_window.items())
        if clicks
    ]


def _once(rows: Iterable[Event], who: str, name: str) -> list[Event]:
    known: dict[Any, Event] = {}
    for one in rows:
        known.setdefault((one[who], one[name], one["event_time"] // MINUTE_MS), one)
    return list(known.values())


def minor(amount: float | None, times: int = 1) -> int | None:
    """Return an amount in minor units."""
    if amount is None or max(abs(amount), abs(amount * times)) > 1e12:
        return None
    return int(Decimal(amount * 100).quantize(Decimal(1), ROUND_HALF_UP)) * times


def _shop(events: list[Event]) -> dict[str, Any]:
    visitors: dict[str, list[Event]] = defaultdict(list)
    for one in events:
        visitors[one["user_id"]].append(one)
    sessions = [session for clicks in visitors.values() for session in _sessions(clicks)]
    lines = [one for one in events if one["event_type"] == "transaction"]
    amounts = [minor(one["price"], one["quantity"]) for one in lines]
    sold: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for line, amount in zip(lines, amounts, strict=True):
        sold[line["item_id"]][0] += amount or 0
        sold[line["item_id"]][1] += line["quantity"]
    ranked = sorted(sold, key=lambda item: (-sold[item][0], -sold[item][1], item))
    return {
        "events": len(events),
        "orders": len(
            {(one["user_id"], one["transaction_id"]) for one in lines if one["transaction_id"]}
        ),
        "gmv_minor": sum(amount for amount in amounts if amount is not None),
        "unpriced_lines": amounts.count(None),
        "active_visitors": len(visitors),
        "buyers": len({one["user_id"] for one in lines}),
        **_reached("", visitors.values()),
        "sessions": len(sessions),
        **_reached("sessions_", sessions),
        "items_sold": len(ranked),
        "items": ranked[:100],
        "item_units": [sold[item][1] for item in ranked[:100]],
        "item_gmv_minor": [sold[item][0] for item in ranked[:100]],
    }


def _sessions(clicks: list[Event]) -> list[list[Event]]:
    found: list[list[Event]] = []
    for one in sorted(clicks, key=lambda click: int(click["event_time"])):
        if found and one["event_time"] - found[-1][-1]["event_time"] <= GAP_MS:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _reached(prefix: str, groups: Iterable[list[Event]]) -> dict[str, int]:
    far = [_far(group) for group in groups]
    return {
        f"{prefix}{name}": sum(one >= least for one in far)
        for least, name in ((1, "viewed"), (2, "carted"), (3, "purchased"))
    }


def _far(clicks: list[Event]) -> int:
    views, carts, lines = (
        [one["event_time"] for one in clicks if one["event_type"] == kind]
        for kind in ("view", "addtocart", "transaction")
    )
    after = [cart for cart in carts if any(view <= cart for view in views)]
    if any(cart <= line for cart in after for line in lines):
        return 3
    return 2 if after else 1 if views else 0


def _paid(payments: list[Event]) -> dict[str, Any]:
    amounts = [(one["decision"], minor(one["amount"]) or 0) for one in payments]
    return {
        "payments": len(amounts),
        "payments_reviewed": sum(decision == "review" for decision, _ in amounts),
        "payments_blocked": sum(decision == "block" for decision, _ in amounts),
        "paid_minor": sum(amount for _, amount in amounts),
        "blocked_minor": sum(amount for decision, amount in amounts if decision == "block"),
    }
