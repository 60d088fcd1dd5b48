"""Tell Prometheus how good the decisions on payments were, as far as verdicts have come in."""

from __future__ import annotations

from datetime import UTC, datetime, time

from prometheus_client import CollectorRegistry, Gauge

from config import instruments
from lakehouse.fraud.quality import Pooled

FLAGGED, BLOCKED = "flagged", "blocked"


class QualityMetrics:
    """Gauges of the newest days with enough verdicts; what is not known is NaN."""

    def __init__(self, registry: CollectorRegistry, least_precision: float) -> None:
        def gauge(name: str) -> Gauge:
            return instruments.gauge(name, registry)

        self._precision = gauge("millrace_fraud_precision")
        self._recall = gauge("millrace_fraud_recall")
        self._judged = gauge("millrace_fraud_judged_payments")
        self._average_precision = gauge("millrace_fraud_average_precision")
        self._calibration_error = gauge("millrace_fraud_calibration_error")
        self._known = gauge("millrace_fraud_verdicts_known")
        self._last = gauge("millrace_fraud_quality_timestamp_seconds")
        for one in (self._average_precision, self._calibration_error, self._known, self._last):
            one.set(float("nan"))
        gauge("millrace_fraud_least_precision").set(least_precision)

    def show(self, found: Pooled | None) -> None:
        """Set the gauges; without days of enough verdicts they stay as they are."""
        if found is None:
            return
        one = found.figures
        for decision, prefix, judged in (
            (FLAGGED, "", "judged_flagged"),
            (BLOCKED, "block_", "judged_blocked"),
        ):
            self._precision.labels(decision).set(_number(one[f"{prefix}precision"]))
            self._recall.labels(decision).set(_number(one[f"{prefix}recall"]))
            self._judged.labels(decision).set(one[judged])
        self._average_precision.set(_number(one["average_precision"]))
        self._calibration_error.set(_number(one["calibration_error"]))
        self._known.set(one["known"])
        self._last.set(datetime.combine(found.last, time(), UTC).timestamp())


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
