"""Rules about the broker and what lies in quarantine."""

from monitoring.rules.rule import Alert

ALERTS = (
    Alert(
        name="KafkaDown",
        expr="millrace_kafka_up == 0",
        hold="1m",
        severity="critical",
        summary="Kafka does not answer: nothing moves",
        entity="kafka",
    ),
    Alert(
        name="PartitionsUnderReplicated",
        expr="millrace_kafka_underreplicated_partitions > 0",
        hold="5m",
        severity="warning",
        summary="{{ $value }} partitions lack a replica",
        entity="kafka",
    ),
    Alert(
        name="QuarantineGrowing",
        # Two looks at the end of the log: increase() would estimate, and miss its first record.
        expr=(
            'sum(millrace_kafka_topic_end_offset{topic="quarantine"})'
            ' - sum(min_over_time(millrace_kafka_topic_end_offset{topic="quarantine"}[10m])) > 0'
        ),
        hold="0s",
        severity="warning",
        summary="{{ $value }} records were put in quarantine lately",
        entity="quarantine",
    ),
)
