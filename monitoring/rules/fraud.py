"""Rules about the scoring of payments."""

from monitoring.rules.rule import Alert

ALERTS = (
    Alert(
        name="ScorerSilent",
        expr=(
            'sum(rate(millrace_kafka_topic_end_offset{topic="fraud-features"}[2m])) > 0'
            ' and sum(rate(millrace_kafka_topic_end_offset{topic="fraud-scores"}[2m])) == 0'
        ),
        hold="1m",
        severity="critical",
        summary="Payments come in, and none is scored",
        entity="consumer-fraud",
        product="fraud",
        needs="fraud",
    ),
    Alert(
        name="DriftOfFeatures",
        # One alert for a model, not one for each of its features: they often move together.
        expr="count by (consumer, model) (millrace_drift_psi > 0.25)",
        hold="10m",
        severity="warning",
        summary=(
            "{{ $value }} features or scores of model {{ $labels.model }} have moved far from "
            "their training"
        ),
        entity="{{ $labels.model }}",
        product="fraud",
        needs="fraud",
    ),
)
