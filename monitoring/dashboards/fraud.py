"""Payments: scored how fast, with which model, and what rules say."""

from monitoring.dashboards.panel import Dashboard, lines, number, quantiles

SCORES, VECTORS = '{topic="fraud-scores"}', '{topic="fraud-features"}'
SCORER = '{consumer="fraud"}'
VERDICTS = "the lake is off, or has too few verdicts"

DASHBOARD = Dashboard(
    "fraud",
    "Fraud",
    {
        "Scoring": (
            number(
                "Payments scored",
                f"sum(rate(millrace_kafka_topic_end_offset{SCORES}[1m]))",
                "cps",
            ),
            number("Models in use", f"count(millrace_model_info{SCORER})"),
            lines(
                "Feature vectors and scores",
                'sum by (topic) (rate(millrace_kafka_topic_end_offset{topic=~"fraud-.*"}[1m]))',
                "{{topic}}",
                "cps",
            ),
            quantiles(
                "From payment to decision", "millrace_event_to_store_seconds", "consumer", SCORER
            ),
            lines(
                "Vectors not scored yet",
                f"sum by (topic) (millrace_consumer_lag_records{SCORER})",
                "{{topic}}",
            ),
            quantiles("A batch", "millrace_consumer_batch_seconds", "consumer", SCORER),
        ),
        "Drift": (
            lines(
                "Population stability index, the five greatest",
                "topk(5, millrace_drift_psi)",
                "{{column}}",
                empty="fewer than 1,000 payments came since the start",
            ),
            lines(
                "Payments decided",
                "sum by (decision) (rate(millrace_fraud_decisions_total[1m]))",
                "{{decision}}",
                "cps",
            ),
            lines(
                "Share decided late, or on few features",
                '(sum(rate(millrace_fraud_decisions_total{late="true"}[5m])'
                ' or rate(millrace_fraud_decisions_total{features="sparse"}[5m])) or vector(0))'
                " / (sum(rate(millrace_fraud_decisions_total[5m])) > 0)",
                "share",
                "percentunit",
                empty="no payment was decided",
            ),
        ),
        "Challenger": (
            lines(
                "Share of decisions that would differ",
                'sum by (model) (rate(millrace_shadow_payments_total{differs="true"}[5m]))'
                " / sum by (model) (rate(millrace_shadow_payments_total[5m]))",
                "{{model}}",
                "percentunit",
                empty="nothing scores beside the model in use, or nothing differs",
            ),
            lines(
                "Mean absolute difference of scores",
                "sum by (model) (rate(millrace_shadow_score_difference_total[5m]))"
                " / sum by (model) (rate(millrace_shadow_payments_total[5m]))",
                "{{model}}",
                empty="nothing scores beside the model in use",
            ),
            lines(
                "State of the challenger",
                "millrace_shadow_info",
                "{{model}} {{state}}",
                empty="nothing scores beside the model in use",
            ),
        ),
        "Quality, as verdicts come": (
            lines(
                "Precision",
                "millrace_fraud_precision",
                "{{decision}}",
                "percentunit",
                empty=VERDICTS,
            ),
            lines("Recall", "millrace_fraud_recall", "{{decision}}", "percentunit", empty=VERDICTS),
            lines(
                "Average precision",
                "millrace_fraud_average_precision",
                "average precision",
                empty=VERDICTS,
            ),
            lines(
                "Calibration error",
                "millrace_fraud_calibration_error",
                "error",
                empty=VERDICTS,
            ),
        ),
        "Rules": (
            lines(
                "Hits of rules",
                "sum by (rule, mode) (rate(millrace_rule_hits_total[5m]))",
                "{{rule}} {{mode}}",
                "cps",
                empty="no rule has hit a payment",
            ),
            lines(
                "Rules in use",
                "millrace_rules_info",
                "{{version}}",
                empty="no file of rules is named",
            ),
        ),
    },
    needs="fraud",
)
