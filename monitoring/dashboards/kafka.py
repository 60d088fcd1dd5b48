"""Kafka, and Redis and the registry beside it: the stores that a look measures."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

DASHBOARD = Dashboard(
    "kafka",
    "Kafka, Redis, registry",
    {
        "Kafka": (
            number("Brokers", "millrace_kafka_brokers"),
            number("Partitions that lack a replica", "millrace_kafka_underreplicated_partitions"),
            number("A look takes", "millrace_kafka_look_seconds", "s"),
            lines(
                "Records written, by topic",
                "sum by (topic) (rate(millrace_kafka_topic_end_offset[1m]))",
                "{{topic}}",
                "cps",
            ),
            lines(
                "Records held, by topic",
                "sum by (topic) (millrace_kafka_topic_end_offset)"
                " - sum by (topic) (millrace_kafka_topic_start_offset)",
                "{{topic}}",
            ),
            lines(
                "Not committed, by consumer",
                'sum by (group, topic) (millrace_kafka_group_lag_records{kind="consumer"})',
                "{{group}} {{topic}}",
            ),
            lines(
                "Not committed, by job",
                'sum by (group, topic) (millrace_kafka_group_lag_records{kind="job"})',
                "{{group}} {{topic}}",
                text="A job commits with its checkpoints.",
            ),
        ),
        "Redis": (
            Panel(
                "Memory",
                (
                    Query("millrace_redis_memory_used_bytes", "used"),
                    Query("millrace_redis_memory_limit_bytes", "limit"),
                ),
                "bytes",
            ),
            lines("Keys", "millrace_redis_keys", "keys"),
            lines("Commands", "rate(millrace_redis_commands_total[1m])", "commands", "cps"),
            lines("Clients", "millrace_redis_clients", "clients"),
        ),
        "Registry": (
            number("Subjects", "millrace_registry_subjects"),
            lines("Time to answer", "millrace_registry_answer_seconds", "list of subjects", "s"),
        ),
    },
)
