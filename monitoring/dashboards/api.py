"""The API: rates, errors and latency by route."""

from monitoring.dashboards.panel import Dashboard, lines, number, quantiles
from monitoring.rules.api import FAILED, ROUTES, SECONDS

DASHBOARD = Dashboard(
    "api",
    "API",
    {
        "All routes": (
            number("Requests", f"sum(rate({SECONDS}_count{{{ROUTES}}}[5m]))", "reqps"),
            number(
                "Share of errors",
                f"(sum(rate({SECONDS}_count{{{ROUTES},{FAILED}}}[5m])) or vector(0))"
                f" / (sum(rate({SECONDS}_count{{{ROUTES}}}[5m])) > 0 or vector(1))",
                "percentunit",
            ),
            lines("CPU", 'rate(process_cpu_seconds_total{process="api"}[1m])', "api", "none"),
            lines("Memory", 'process_resident_memory_bytes{process="api"}', "api", "bytes"),
        ),
        "By route": (
            lines(
                "Requests",
                f"sum by (method, route) (rate({SECONDS}_count[1m]))",
                "{{method}} {{route}}",
                "reqps",
            ),
            lines(
                "Requests, by status",
                f"sum by (status) (rate({SECONDS}_count[1m]))",
                "{{status}}",
                "reqps",
            ),
            quantiles("Time to answer", SECONDS, "route", window="5m"),
        ),
    },
)
