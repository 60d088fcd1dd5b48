"""Windows judged by learned detectors: how many, how strange, and by which thresholds."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

CONSUMER = '{consumer="anomalies"}'

DASHBOARD = Dashboard(
    "anomalies",
    "Learned detectors",
    {
        "Windows": (
            number(
                "Windows judged a minute", "60 * sum(rate(millrace_anomalies_windows_total[10m]))"
            ),
            number("Sensors remembered", "millrace_anomalies_sensors"),
            lines(
                "By outcome",
                "sum by (outcome) (rate(millrace_anomalies_windows_total[10m]))",
                "{{outcome}}",
                "cps",
            ),
            lines(
                "Share of anomalies, by criticality",
                "sum by (criticality)"
                ' (rate(millrace_anomalies_windows_total{outcome="anomaly"}[1h]))'
                " / sum by (criticality)"
                ' (rate(millrace_anomalies_windows_total{outcome!="again"}[1h]))',
                "{{criticality}}",
                "percentunit",
                empty="no window was an anomaly",
            ),
            lines(
                "Windows not judged yet",
                f"sum by (topic) (millrace_consumer_lag_records{CONSUMER})",
                "{{topic}}",
            ),
        ),
        "Scores": (
            Panel(
                "Scores, by criticality",
                tuple(
                    Query(
                        f"histogram_quantile({share}, sum by (le, criticality)"
                        " (rate(millrace_anomalies_score_bucket[10m])))",
                        f"p{share * 100:.0f} {{{{criticality}}}}",
                    )
                    for share in (0.5, 0.99)
                ),
            ),
            lines(
                "Threshold of the newest window",
                "millrace_anomalies_threshold",
                "{{criticality}}",
            ),
            number("Models in use", f"count(millrace_model_info{CONSUMER})"),
        ),
    },
    needs="anomalies",
)
