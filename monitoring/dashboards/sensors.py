"""Readings of sensors: how many, of which quality, and what is unusual of them."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

DASHBOARD = Dashboard(
    "sensors",
    "Sensors",
    {
        "Readings": (
            number("Readings judged", "rate(processed_records_total[1m])", "cps"),
            lines(
                "By outcome and check",
                "sum by (outcome, check) (rate(dq_records_total[1m]))",
                "{{outcome}} {{check}}",
                "cps",
            ),
            lines(
                "Mean value, by type",
                "rate(event_value_sum[1m]) / rate(event_value_count[1m])",
                "{{sensor_type}}",
            ),
        ),
        "Anomalies": (
            lines("Anomalies", "rate(anomalies_total[1m])", "{{sensor_type}}", "cps"),
            Panel(
                "Score of the newest reading, and the threshold",
                (
                    Query("last_anomaly_score", "{{sensor_type}}"),
                    Query("anomaly_threshold", "{{sensor_type}} threshold"),
                ),
            ),
            lines(
                "Alerts told",
                "sum by (product, severity, state) (millrace_alerts_told_total)",
                "{{product}} {{severity}} {{state}}",
                empty="no alert was told",
            ),
        ),
    },
    needs="sensors",
)
