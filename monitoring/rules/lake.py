"""Rules about the lake."""

from monitoring.rules.rule import Alert

LAG = 'sum by (group, topic) (millrace_kafka_group_lag_records{group="millrace-lakehouse"})'

ALERTS = (
    Alert(
        name="LakeBehind",
        # The job commits with its checkpoints, once its files are in the tables: a minute of what
        # comes is on its way at any time.
        expr=(
            f"{LAG} > 0 and {LAG} / on (topic) group_left () sum by (topic) "
            "(clamp_min(rate(millrace_kafka_topic_end_offset[5m]), 0)) > 600"
        ),
        hold="5m",
        severity="warning",
        summary="The lake lacks {{ $value }} records of {{ $labels.topic }}",
        entity="{{ $labels.topic }}",
        product="lakehouse",
        needs="lake",
    ),
    Alert(
        name="FeaturesDiffer",
        expr=(
            "millrace_features_differing_total"
            " - min_over_time(millrace_features_differing_total[1h]) > 0"
        ),
        hold="0s",
        severity="critical",
        summary="{{ $value }} feature vectors differ from those that the reference engine computes",
        entity="fraud-features",
        product="fraud",
        needs="lake",
    ),
)
