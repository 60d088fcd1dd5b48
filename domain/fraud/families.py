"""Generate families of card fraud features from windows and aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from domain.features.declaration import AggregateName, Comparison, Feature

SPANS = {
    "5m": "5 minutes",
    "10m": "10 minutes",
    "1h": "hour",
    "1d": "day",
    "7d": "7 days",
    "14d": "14 days",
    "21d": "21 days",
    "28d": "28 days",
    "30d": "30 days",
    "60d": "60 days",
}
_WORDS: Mapping[str, str] = {
    "count": "Payments",
    "sum": "Sum of the payments",
    "mean": "Mean amount",
    "min": "Smallest amount",
    "max": "Largest amount",
    "std": "Standard deviation of the amounts",
    "ratio": "This amount over the mean",
    "zscore": "Standard deviations by which this amount lies above the mean",
}


def family(
    entity: str,
    aggregates: Iterable[AggregateName],
    windows: Iterable[str],
    only: tuple[Comparison, ...] = (),
) -> Iterator[Feature]:
    """Yield `<entity>_<aggregate>_<window>` of the amount for each aggregate in each window."""
    for aggregate in aggregates:
        for window in windows:
            yield Feature(
                f"{entity}_{aggregate}_{window}",
                aggregate,
                window,
                None if aggregate == "count" else "amount",
                filter=only,
                description=f"{_WORDS[aggregate]} of the {entity} within the last {SPANS[window]}, "
                "this payment included.",
            )


def counts(
    name: str, what: str, windows: Iterable[str], only: tuple[Comparison, ...]
) -> Iterator[Feature]:
    """Yield `<name>_<window>`: how many rows meet `only`, in each window."""
    for window in windows:
        yield Feature(
            f"{name}_{window}",
            "count",
            window,
            filter=only,
            description=f"{what} within the last {SPANS[window]}.",
        )
