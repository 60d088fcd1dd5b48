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
    Alert(
        name="PrecisionLow",
        # Of fewer blocked payments the share says little: of 50 at 80 % it is within 11 %.
        expr=(
            'millrace_fraud_precision{decision="blocked"}'
            " < on (instance, job) group_left () millrace_fraud_least_precision"
            ' and on (instance, job) millrace_fraud_judged_payments{decision="blocked"} >= 50'
        ),
        hold="10m",
        severity="warning",
        summary="Of the payments blocked lately only {{ $value | humanizePercentage }} were fraud",
        entity="fraud-decisions",
        product="fraud",
        needs="lake",
    ),
)
