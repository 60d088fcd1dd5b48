"""Split into train, validation and test in time order, with the verdicts' delay as gaps.

A model used from day d on was trained on verdicts known by d, that is on payments a delay earlier.
A split without that gap would promise results that are unattainable in use.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.errors import UserError
from orchestration.training.frame import Frame

TRAIN, VALIDATION, TEST = 0.6, 0.15, 0.25


@dataclass(frozen=True, slots=True)
class Split:
    """Three frames, each one gap after the one before."""

    train: Frame
    validation: Frame
    test: Frame


def by_time(frame: Frame, gap_ms: int) -> Split:
    """Cut at fixed shares of the time that is left after two gaps.

    Raise UserError if there is too little time, or a part has no fraud or nothing but fraud.
    """
    if len(frame) == 0:
        raise UserError("there are no transactions to train on")
    first, last = int(frame.event_time.min()), int(frame.event_time.max()) + 1
    usable = last - first - 2 * gap_ms
    if usable <= 0:
        days = (last - first) / 86_400_000
        raise UserError(
            f"{days:.1f} days of transactions are too few: "
            f"the verdicts' delay takes {2 * gap_ms // 86_400_000}"
        )
    train_end = first + int(usable * TRAIN)
    validation_start = train_end + gap_ms
    validation_end = validation_start + int(usable * VALIDATION)
    parts = {
        "train": frame.between(first, train_end),
        "validation": frame.between(validation_start, validation_end),
        "test": frame.between(validation_end + gap_ms, last),
    }
    for name, part in parts.items():
        if not 0 < int(part.y.sum()) < len(part):
            raise UserError(
                f"the {name} part has {int(part.y.sum())} frauds among {len(part)} transactions: "
                "use more data"
            )
    return Split(**parts)
