"""How many comparisons a claim stood, the worst difference that was met, and where."""
from dataclasses import dataclass

import numpy as np


@dataclass
class Tally:
    """cases: comparisons; worst: the largest difference of any number in them, infinite for another shape or type."""
    cases: int = 0
    worst: float = 0.0
    place: str = ""

    def compare(self, found, expected, place: str) -> None:
        """One case: two arrays of integers that should be equal."""
        found, expected = np.asarray(found), np.asarray(expected)
        if (found.dtype, found.shape) != (expected.dtype, expected.shape):
            return self.note(np.inf, f"{place}: {found.dtype} {found.shape} for {expected.dtype} {expected.shape}")
        self.note(0 if np.array_equal(found, expected) else np.abs(found.astype(np.int64) - expected).max(), place)

    def note(self, difference: float, place: str) -> None:
        """One case that has been compared already. A difference that is no number is infinite."""
        self.cases += 1
        difference = np.inf if np.isnan(difference) else float(difference)
        if difference > self.worst:
            self.worst, self.place = difference, place

    def add(self, other: "Tally") -> None:
        """Its cases are cases of this one."""
        self.cases += other.cases
        if other.worst > self.worst:
            self.worst, self.place = other.worst, other.place
