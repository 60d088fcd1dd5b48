"""The lake: how far behind its job is, and what its checks found."""

from monitoring.dashboards.panel import Dashboard, lines, number
from monitoring.rules.lake import LAG

CHECKED = "`millrace check` has not run"

DASHBOARD = Dashboard(
    "lake",
    "Lake",
    {
        "The lake's job": (
            lines("Records that the lake lacks", LAG, "{{topic}}"),
            lines(
                "Duration of the last commit",
                'flink_jobmanager_job_lastCheckpointDuration{job_name="lakehouse"} / 1000',
                "s",
                "s",
            ),
        ),
        "What is proven": (
            number("Vectors computed again", "millrace_features_verified_total"),
            number("Vectors that differ", "millrace_features_differing_total"),
            lines(
                "Checks that failed",
                "count by (subject, level) (millrace_data_quality_passed == 0)",
                "{{subject}} {{level}}",
                empty="every check passed, or none has run",
            ),
            lines(
                "Age of the last check",
                "time() - millrace_data_quality_checked_timestamp_seconds",
                "{{subject}}",
                "s",
                empty=CHECKED,
            ),
        ),
    },
    needs="lake",
)
