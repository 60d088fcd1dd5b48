"""Rules about readings of sensors."""

from monitoring.rules.rule import Alert

ALERTS = (
    Alert(
        name="HighAnomalyRate",
        # Of a type's readings; of a few readings one is a high share, and no finding.
        expr=(
            "sum by (sensor_type) (rate(anomalies_total[10m]))"
            " / sum by (sensor_type) (rate(event_value_count[10m])) > 0.2"
            " and sum by (sensor_type) (increase(event_value_count[10m])) > 50"
        ),
        hold="5m",
        severity="warning",
        summary=(
            "{{ $value | humanizePercentage }} of the readings of type {{ $labels.sensor_type }} "
            "are anomalies"
        ),
        entity="{{ $labels.sensor_type }}",
        product="sensors",
        needs="sensors",
    ),
    Alert(
        name="DataQualityErrors",
        expr=(
            'sum(rate(dq_records_total{outcome="rejected"}[10m]))'
            " / sum(rate(processed_records_total[10m])) > 0.1"
            " and sum(increase(processed_records_total[10m])) > 50"
        ),
        hold="5m",
        severity="warning",
        summary="{{ $value | humanizePercentage }} of the readings fail the quality gate",
        entity="rejected-readings",
        product="sensors",
        needs="sensors",
    ),
)
