"""Rules about consumers: how far behind, how late, and whether they wait for a person."""

from monitoring.rules.rule import Alert, Record

# Of the events, those that were in the store within it are in the budget; a hundredth may be later.
LATENCY_S, BUDGET = "0.1", 0.01
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def _slow(window: str) -> str:
    found = f'millrace_event_to_store_seconds_bucket{{le="{LATENCY_S}"}}'
    return (
        f"1 - sum by (consumer) (rate({found}[{window}]))"
        f" / sum by (consumer) (rate(millrace_event_to_store_seconds_count[{window}]))"
    )


def _name(window: str) -> str:
    return f"consumer:millrace_events_late:ratio_rate{window}"


def _burns(*pairs: tuple[float, str, str]) -> str:
    """Return that the budget burns so many times too fast, over a long and over a short window."""
    return " or ".join(
        f"({_name(long)} > {factor * BUDGET:g} and {_name(short)} > {factor * BUDGET:g})"
        for factor, long, short in pairs
    )


RECORDS = tuple(Record(_name(window), _slow(window)) for window in WINDOWS)

ALERTS = (
    Alert(
        name="ConsumerLag",
        # How many seconds of what comes are not handled yet; of a topic that is quiet, endless.
        expr=(
            'sum by (group, topic) (millrace_kafka_group_lag_records{kind="consumer"}) > 100'
            ' and sum by (group, topic) (millrace_kafka_group_lag_records{kind="consumer"})'
            " / on (topic) group_left () sum by (topic) "
            "(clamp_min(rate(millrace_kafka_topic_end_offset[5m]), 0)) > 30"
        ),
        hold="2m",
        severity="warning",
        summary="{{ $labels.group }} is {{ $value }} records behind on {{ $labels.topic }}",
        entity="{{ $labels.group }}",
    ),
    Alert(
        name="ConsumerWaits",
        expr="millrace_consumer_waiting == 1",
        hold="5m",
        severity="warning",
        summary="Consumer {{ $labels.consumer }} waits for a person: its /readyz says for what",
        entity="{{ $labels.consumer }}",
    ),
    # The pairs of windows of the SRE workbook, chapter 5: 2 % of a month's budget in an hour, 5 %
    # in six, 10 % in a day or in three.
    Alert(
        name="LatencyBudgetBurn",
        expr=_burns((14.4, "1h", "5m"), (6, "6h", "30m")),
        hold="2m",
        severity="critical",
        summary=(
            "{{ $value | humanizePercentage }} of {{ $labels.consumer }}'s events are later than "
            f"{LATENCY_S} s"
        ),
        entity="{{ $labels.consumer }}",
    ),
    Alert(
        name="LatencyBudgetBurnSlow",
        expr=_burns((3, "1d", "2h"), (1, "3d", "6h")),
        hold="15m",
        severity="warning",
        summary=(
            "{{ $value | humanizePercentage }} of {{ $labels.consumer }}'s events are later than "
            f"{LATENCY_S} s, for hours"
        ),
        entity="{{ $labels.consumer }}",
    ),
)
