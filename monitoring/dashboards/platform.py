"""The platform at one look: what runs, what flows, what is late, what is put aside."""

from monitoring.dashboards.panel import Dashboard, lines, number, quantiles

DASHBOARD = Dashboard(
    "platform",
    "Platform",
    {
        "State": (
            number("Processes that answer", "sum(up)"),
            number("Processes that do not", "count(up) - sum(up)"),
            number("Jobs that should run and do not", "sum(millrace_job_not_running)"),
            number("Alerts that fire", 'count(ALERTS{alertstate="firing"}) or vector(0)'),
            number(
                "Records in quarantine",
                'sum(millrace_kafka_topic_end_offset{topic="quarantine"})'
                ' - sum(millrace_kafka_topic_start_offset{topic="quarantine"})',
            ),
        ),
        "Flow": (
            lines(
                "Records written, by topic",
                "sum by (topic) (rate(millrace_kafka_topic_end_offset[1m])) > 0",
                "{{topic}}",
                "cps",
                empty="nothing is written",
            ),
            lines(
                "Records handled, by consumer",
                "sum by (consumer) (rate(millrace_consumer_records_total[1m]))",
                "{{consumer}}",
                "cps",
            ),
            quantiles("From event to store", "millrace_event_to_store_seconds", "consumer"),
            lines(
                "Records not handled yet, by consumer",
                "sum by (consumer) (millrace_consumer_lag_records)",
                "{{consumer}}",
            ),
        ),
        "Cost": (
            lines("CPU, by process", "rate(process_cpu_seconds_total[1m])", "{{process}}", "none"),
            lines("Memory, by process", "process_resident_memory_bytes", "{{process}}", "bytes"),
        ),
    },
)
