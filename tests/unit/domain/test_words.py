from __future__ import annotations

import pytest

from domain.fraud.features import FRAUD
from domain.fraud.words import explanations, words

ALL = words(FRAUD)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("amount", 812.5, "Amount is 812.50"),
        ("customer_ratio_30d", 4.21, "Amount is 4.2 times this customer's 30-day mean"),
        ("terminal_ratio_30d", 0.5, "Amount is 0.5 times this terminal's 30-day mean"),
        (
            "customer_zscore_30d",
            -2.0,
            "Amount lies 2.0 standard deviations below this customer's 30-day mean",
        ),
        (
            "customer_count_1h",
            7,
            "Payments of the customer within the last hour, this payment included: 7",
        ),
        (
            "terminal_risk_7d",
            0.6,
            "Share of fraud among the verdicts that became known within the last 7 days: 60 %",
        ),
        (
            "customer_seconds_since",
            185.0,
            "3 minutes since the customer's payment before this one, within 30 days",
        ),
        ("is_night", 1, "Paid at night (00:00 to 06:59 UTC)"),
        ("is_weekend", 0, "Paid on a weekday"),
        (
            "customer_mean_7d",
            1234.5,
            "Mean amount of the customer within the last 7 days, this payment included: 1,234.50",
        ),
        (
            "customer_last_amount",
            None,
            "Amount of the customer's payment before this one: not known",
        ),
        (
            "customer_ratio_7d",
            float("nan"),
            "This amount over the mean of the customer within the last 7 days, this payment "
            "included: not known",
        ),
        ("of_another_release", 2.0, "of_another_release: 2"),
    ],
)
def test_a_feature_is_told_by_its_declaration(
    name: str, value: float | None, sentence: str
) -> None:
    assert ALL.sentence(name, value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "customer_prior_ratio_14d",
            3.0,
            "Amount is 3.0 times the mean of this customer's other payments of 14 days",
        ),
        ("pair_ratio_30d", 2.0, "Amount is 2.0 times this customer's 30-day mean at this terminal"),
        (
            "terminal_plain_newest",
            -180_000.0,
            "This terminal's newest verdict of fraud on an unremarkable payment is 2 days older "
            "than its newest of no fraud",
        ),
        ("hour", 3.75, "Paid at 03:45 UTC"),
    ],
)
def test_so_are_derived_features(name: str, value: float, sentence: str) -> None:
    assert ALL.sentence(name, value) == sentence


def test_every_feature_has_a_sentence_of_its_own() -> None:
    sentences = [ALL.sentence(name, 0.25) for name in FRAUD.features]
    assert len(set(sentences)) == len(FRAUD.features)
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
    assert not any("_" in sentence or sentence.endswith(".") for sentence in sentences)


def test_explanations_follow_the_names() -> None:
    record = {"amount": 5.0, "is_night": 0}
    told = explanations(ALL, ("is_night", "amount", "customer_count_1h"), record)
    assert told[:2] == ("Paid by day (07:00 to 23:59 UTC)", "Amount is 5.00")
    assert told[2].endswith("not known")
