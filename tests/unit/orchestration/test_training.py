from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from config.errors import UserError
from domain.events import Decision
from domain.fraud.features import FRAUD
from domain.fraud.policy import Costs, Targets, Thresholds
from ingestion.fraud.handbook import Handbook
from ingestion.fraud.simulator import Payment
from orchestration.fraud.sources import DAY_MS, handbook, simulated
from orchestration.fraud.thresholds import aimed, cheapest, choose
from orchestration.fraud.train import Data, frame_of, train
from orchestration.shelf.store import Store
from orchestration.training.frame import Frame
from orchestration.training.metrics import card_precision, measure, reliability
from orchestration.training.split import by_time
from serving.fraud.model import accept

_AMOUNTS = st.floats(-10, 500)
_COST = st.floats(0, 50)


def frame(times: list[int], y: list[bool], customers: list[str] | None = None) -> Frame:
    return Frame(
        ("f",),
        np.arange(len(times), dtype=np.float64).reshape(-1, 1),
        np.array(y, dtype=np.bool_),
        np.array(times, dtype=np.int64),
        np.array(customers or ["c"] * len(times), dtype=np.str_),
    )


@pytest.fixture(scope="module")
def small() -> Data:
    return simulated(days=24, customers=60, seed=5, strikes=80)


class TestSplit:
    def test_parts_are_in_order_with_the_delay_between_them(self) -> None:
        whole = frame(list(range(0, 1000)), [number % 3 == 0 for number in range(1000)])
        split = by_time(whole, gap_ms=100)
        assert split.validation.event_time.min() - split.train.event_time.max() > 100
        assert split.test.event_time.min() - split.validation.event_time.max() > 100
        assert [len(split.train), len(split.validation), len(split.test)] == [480, 120, 200]

    def test_too_little_time(self) -> None:
        with pytest.raises(UserError, match="days of transactions are too few"):
            by_time(frame([0, DAY_MS], [True, False]), gap_ms=DAY_MS)

    def test_a_part_without_fraud(self) -> None:
        with pytest.raises(UserError, match="the train part has 0 frauds"):
            by_time(frame(list(range(100)), [False] * 100), gap_ms=5)

    def test_nothing_at_all(self) -> None:
        with pytest.raises(UserError, match="no transactions"):
            by_time(frame([], []), gap_ms=5)


class TestThresholdsByCost:
    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.9]), st.booleans(), _AMOUNTS),
            min_size=1,
            max_size=12,
        ),
        st.builds(Costs, _COST, _COST, st.floats(0, 2)),
    )
    def test_no_other_pair_is_cheaper(
        self, rows: list[tuple[float, bool, float]], costs: Costs
    ) -> None:
        """Every pair of thresholds is tried, and each payment's cost is looked up."""
        scores, y, amounts = (np.array(column) for column in zip(*rows, strict=True))
        levels = [*np.unique(scores), 1.0]

        def total(thresholds: Thresholds) -> float:
            return sum(
                costs.of(thresholds.decide(score), fraud=fraud, amount=amount)
                for score, fraud, amount in rows
            )

        found = cheapest(scores, y, amounts, costs)
        every = [
            Thresholds(review, block) for review in levels for block in levels if review <= block
        ]
        assert total(found) == pytest.approx(min(map(total, every)), rel=1e-9, abs=1e-6)

    def test_what_each_decision_costs(self) -> None:
        costs = Costs(review=4, blocked=20, passed=0.5)
        decisions: tuple[Decision, ...] = ("approve", "review", "block")
        said = {
            (decision, fraud): costs.of(decision, fraud=fraud, amount=100)
            for decision in decisions
            for fraud in (False, True)
        }
        assert said == {
            ("approve", False): 0,
            ("approve", True): 50,
            ("review", False): 4,
            ("review", True): 4,
            ("block", False): 20,
            ("block", True): 0,
        }
        assert costs.of("approve", fraud=True, amount=-5) == 0
        for wrong in (-1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="cost review"):
                Costs(review=wrong)

    def test_they_need_the_amount(self) -> None:
        one = frame([0, 1], [True, False])
        with pytest.raises(UserError, match="need the feature amount"):
            aimed(np.array([0.5, 0.1]), one, Costs())


def test_the_reliability_table_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    scores = np.append(random.beta(0.5, 3, 5000), [0.0, 1.0])
    y = random.random(5002) < scores**1.3
    found = reliability(scores, y)
    share, mean = calibration_curve(y, scores, n_bins=10, strategy="uniform")
    assert [one["share"] for one in found["bins"]] == pytest.approx(list(share))
    assert [one["score"] for one in found["bins"]] == pytest.approx(list(mean))
    weight = np.histogram(scores, bins=10, range=(0, 1))[0]
    assert [one["rows"] for one in found["bins"]] == list(weight)
    assert found["error"] == pytest.approx(float(np.sum(weight * abs(share - mean)) / 5002))
    assert found["brier"] == pytest.approx(brier_score_loss(y, scores))


class TestThresholds:
    def test_lowest_that_meet_the_targets(self) -> None:
        scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
        y = np.array([True, True, True, False, True, False, False, False])
        chosen = choose(
            scores, y, Targets(block_precision=0.8, review_rate=0.25, review_precision=0.0)
        )
        assert (chosen.block, chosen.review) == (0.5, 0.3)

    def test_reviews_must_be_worth_it(self) -> None:
        scores = np.array([0.9, 0.8, 0.7, 0.6])
        y = np.array([True, False, True, False])
        chosen = choose(
            scores, y, Targets(block_precision=1.0, review_rate=1.0, review_precision=0.5)
        )
        assert (chosen.block, chosen.review) == (0.9, 0.7)

    def test_equal_scores_are_decided_alike(self) -> None:
        scores = np.array([0.9, 0.5, 0.5, 0.1])
        y = np.array([True, True, False, False])
        chosen = choose(
            scores, y, Targets(block_precision=1.0, review_rate=0.25, review_precision=0.1)
        )
        assert (chosen.block, chosen.review) == (0.9, 0.9)

    def test_never_where_no_score_is_good_enough(self) -> None:
        chosen = choose(np.array([0.9, 0.1]), np.array([False, False]), Targets())
        assert (chosen.block, chosen.review) == (1.0, 1.0)


class TestMetrics:
    def test_a_found_card_is_not_found_again(self) -> None:
        rows = frame([0, 1, DAY_MS, DAY_MS + 1], [True, False, True, True], ["a", "b", "a", "c"])
        assert card_precision(rows, np.array([0.9, 0.1, 0.9, 0.8]), k=1) == 1.0
        assert card_precision(rows, np.array([0.1, 0.9, 0.9, 0.8]), k=1) == 0.5

    def test_decisions_are_counted_apart(self) -> None:
        rows = frame(list(range(4)), [True, True, False, False])
        measured = measure(rows, np.array([0.9, 0.5, 0.5, 0.1]), review=0.4, block=0.8)
        assert (measured["block_rate"], measured["block_precision"], measured["block_recall"]) == (
            0.25,
            1.0,
            0.5,
        )
        assert (
            measured["review_rate"],
            measured["review_precision"],
            measured["review_recall"],
        ) == (0.5, 0.5, 0.5)
        assert measured["roc_auc"] == 0.875


class TestSources:
    def table(self, rows: int) -> pa.Table:
        return pa.table(
            {
                "TRANSACTION_ID": list(range(rows)),
                "TX_DATETIME": pa.array(
                    [number * 1000 for number in reversed(range(rows))], pa.timestamp("ms")
                ),
                "CUSTOMER_ID": [number % 50 for number in range(rows)],
                "TERMINAL_ID": [7] * rows,
                "TX_AMOUNT": [1.5] * rows,
                "TX_FRAUD": [int(number == 3) for number in range(rows)],
                "TX_FRAUD_SCENARIO": [0] * rows,
            }
        )

    def test_handbook_in_order_with_delayed_verdicts(self, tmp_path: Path) -> None:
        pq.write_table(self.table(100), tmp_path / "t.parquet")
        data = handbook(tmp_path / "t.parquet", delay_ms=500)
        assert [payment.event_time for payment in data.payments.transactions()] == list(
            range(0, 100_000, 1000)
        )
        assert [
            label.transaction_id for label in data.payments.labels(data.delay_ms) if label.is_fraud
        ] == ["3"]
        assert all(
            label.event_time == payment.event_time + 500
            for label, payment in zip(
                data.payments.labels(500), data.payments.transactions(), strict=True
            )
        )

    def test_a_trial_takes_whole_customers(self, tmp_path: Path) -> None:
        pq.write_table(self.table(5000), tmp_path / "t.parquet")
        data = handbook(tmp_path / "t.parquet", rows=1000)
        by_customer = {payment.customer_id for payment in data.payments.transactions()}
        assert 0 < len(by_customer) < 50
        assert len(data.payments) == 100 * len(by_customer)

    def test_columns_that_are_missing(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"tx_amount": [1.0]}), tmp_path / "t.parquet")
        with pytest.raises(UserError, match="has no column transaction_id, tx_datetime"):
            handbook(tmp_path / "t.parquet")

    def test_payments_without_verdicts(self, tmp_path: Path) -> None:
        pq.write_table(self.table(10).drop_columns(["TX_FRAUD"]), tmp_path / "t.parquet")
        with pytest.raises(UserError, match="has no column tx_fraud"):
            handbook(tmp_path / "t.parquet")

    def test_rows_that_a_replay_rejects_are_left_out_and_told(self, tmp_path: Path) -> None:
        table = self.table(8)
        spoilt = {
            "TX_FRAUD": pa.array([None, 0, 1, 0, 0, 0, 0, 2]),
            "TX_AMOUNT": pa.array([1.0, float("nan"), 1.0, None, 1.0, 1.0, 1.0, 1.0]),
            "TX_DATETIME": pa.array([0, 1, 2, 3, None, 1 << 62, 6, 7], pa.timestamp("ms")),
        }
        columns = {name: spoilt.get(name, table[name]) for name in table.column_names}
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table(columns), path)

        told: list[int] = []
        with structlog.testing.capture_logs() as lines:
            data = handbook(path, progress=told.append)

        sent = [row.transaction for row in Handbook(path) if isinstance(row, Payment)]
        assert list(data.payments.transactions()) == sent
        assert [payment.transaction_id for payment in data.payments.transactions()] == ["2", "6"]
        assert [label.is_fraud for label in data.payments.labels(data.delay_ms)] == [True, False]
        assert data.rejected == 6
        (line,) = lines
        assert (line["rows"], line["path"], line["first"]) == (6, str(path), 0)
        assert line["reason"].startswith("tx_fraud: None is neither")
        assert told == [8]

    @pytest.mark.parametrize("verdicts", [["0", "1", "0"], [0.5, 1.0, float("nan")]])
    def test_verdicts_are_zero_or_one(self, tmp_path: Path, verdicts: list[object]) -> None:
        table = self.table(3).set_column(5, "TX_FRAUD", pa.array(verdicts))
        pq.write_table(table, tmp_path / "t.parquet")

        data = handbook(tmp_path / "t.parquet")

        assert [label.is_fraud for label in data.payments.labels(data.delay_ms)] == [
            True for verdict in verdicts if verdict == 1.0
        ]

    def test_equal_times_keep_the_order_of_the_file(self, tmp_path: Path) -> None:
        moments = pa.array([5] * 12, pa.timestamp("ms"))
        pq.write_table(self.table(12).set_column(1, "TX_DATETIME", moments), tmp_path / "t.parquet")

        data = handbook(tmp_path / "t.parquet")

        assert [payment.transaction_id for payment in data.payments.transactions()] == [
            str(number) for number in range(12)
        ]

    def test_no_parquet(self, tmp_path: Path) -> None:
        (tmp_path / "t.parquet").write_text("no")
        with pytest.raises(UserError, match="is not a parquet file"):
            handbook(tmp_path / "t.parquet")


@pytest.mark.slow
def test_the_frame_is_the_declaration(small: Data) -> None:
    seen: list[int] = []
    made = frame_of(small, seen.append)
    assert made.features == FRAUD.model
    assert made.x.shape == (len(small.payments), len(FRAUD.model))
    assert seen == list(range(500, len(made) + 1, 500))
    assert int(made.y.sum()) == sum(
        label.is_fraud for label in small.payments.labels(small.delay_ms)
    )


@pytest.mark.slow  # trains
def test_the_same_data_and_seed_give_the_same_model(small: Data, tmp_path: Path) -> None:
    first, second = (train(small, tmp_path / name, seed=3) for name in ("a", "b"))
    assert first.card == second.card
    assert (first.folder / "model.txt").read_bytes() == (second.folder / "model.txt").read_bytes()
    assert train(small, tmp_path / "c", seed=4).card.version != first.card.version


@pytest.mark.slow  # trains
def test_targets_decide_and_are_kept(small: Data, tmp_path: Path) -> None:
    usual, strict = (
        train(small, tmp_path, aim=targets).card
        for targets in (Targets(), Targets(block_precision=1.0, review_rate=0.0))
    )
    assert strict.details["targets"]["block_precision"] == 1.0
    assert strict.details["targets"]["review_rate"] == 0.0
    assert strict.details["thresholds"]["review"] == strict.details["thresholds"]["block"]
    assert usual.files == strict.files
    assert usual.version != strict.version


@pytest.mark.slow  # trains
def test_costs_decide_and_are_kept(small: Data, tmp_path: Path) -> None:
    cards = [train(small, tmp_path, aim=Costs(review=one)).card for one in (0.0, 1e6)]
    assert [card.details["costs"]["review"] for card in cards] == [0.0, 1e6]
    free, dear = (card.details["metrics"]["validation"] for card in cards)
    assert free["review_rate"] > 0.5
    assert dear["review_rate"] == 0
    assert "targets" not in cards[0].details
    assert set(cards[0].details["calibration"]) == {"validation", "test"}


@pytest.mark.slow
def test_what_is_trained_can_be_served(small: Data, tmp_path: Path) -> None:
    trained = train(small, tmp_path)
    store = Store(tmp_path)
    assert store.current() is None
    store.promote("latest")
    model = accept(*store.load(trained.folder.name))
    details = trained.card.details
    assert model.features == FRAUD.model
    assert model.version == trained.card.version == store.current()
    assert asdict(model.thresholds) == details["thresholds"]
    assert details["metrics"]["test"]["roc_auc"] > 0.5
    assert details["data"]["rows"] == len(small.payments)
    assert details["data"]["rejected"] == 0
    assert set(details["libraries"]) == {"lightgbm", "numpy", "scikit-learn"}
