"""Runs of equal values in a column that is not used, which tell of episodes as flags, labels and kinds of steps do."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, final

from merpo.lazy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CYCLE", "Runs", "runs_of"]

MOST = 100_000  # different values of a column of labels, at most
KINDS = 3  # of steps: the first, those between, the last
SAMPLE = 1000

TWO = "has two values, as flags do"
CYCLE = "goes through the same three values again and again, as the kinds of steps of episodes do"
BLOCKS = "has one value in each block of rows, as labels of episodes do"


@final
class Runs:
    """The runs of equal values of a column, fed as they are read."""

    def __init__(self) -> None:
        self.rows = self.count = 0  # rows, and runs
        self.known: dict[Hashable, int] = {}
        self.again = False  # whether a value came again after others
        self.changes: set[tuple[int, int]] = set()  # from value to value, while there are few
        self.last = -1

    @property
    def decided(self) -> bool:
        """Whether more rows tell nothing more, as far as the first ones let one think."""
        mostly = self.rows >= SAMPLE and 2 * self.count > self.rows  # values of their own in most rows
        return len(self.known) > KINDS and (self.again or mostly or len(self.known) > MOST)

    def add(self, values: Sequence[Hashable], rows: int) -> None:
        """The next rows, with the value of each run in them."""
        if not self.decided:
            self._follow(values)
        self.rows += rows

    def _follow(self, values: Sequence[Hashable]) -> None:
        for value in values:
            if self.again and len(self.known) > KINDS:
                return
            code = self.known.setdefault(value, len(self.known))
            if code == self.last:
                continue  # a run that goes on
            self.count += 1
            self.again = self.again or code != self.count - 1
            if len(self.known) <= KINDS and self.last >= 0:
                self.changes.add((self.last, code))
            self.last = code

    def tells(self) -> str:
        """What the runs seem to be, empty if nothing of episodes."""
        if len(self.known) == 2:
            return TWO
        if len(self.known) == KINDS and (2, 0) in self.changes and self.changes <= {(0, 1), (1, 2), (0, 2), (2, 0)}:
            return CYCLE
        blocks = not self.again and 1 < len(self.known) <= min(MOST, self.rows // 2)
        return BLOCKS if blocks and not any(map(_is_fraction, self.known)) else ""


def runs_of(value: Any) -> Runs:
    """The runs of an array [N], or of a list of texts."""
    runs = Runs()
    array = np.asarray(value).ravel()
    if array.dtype.kind not in "biufUS" or not array.size:
        return runs
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), -np.inf, array)  # a missing value is one, too, and equals itself
    begins = np.flatnonzero(np.append(True, array[1:] != array[:-1]))
    if 2 * len(begins) > len(array) and len(np.unique(array[:SAMPLE])) > KINDS:
        return runs  # of which a list would only take memory
    runs.add(_keys(array[begins]), len(array))
    return runs


def _keys(array: NDArray[Any]) -> list[Hashable]:
    found: list[Any] = array.tolist()
    return [one.strip() for one in found] if array.dtype.kind in "US" else found


def _is_fraction(value: Any) -> bool:
    """Whether a value, or the number that a text is, is no whole number: measured rather than given."""
    if isinstance(value, str | bytes):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            return False
    return isinstance(value, float) and np.isfinite(value) and not value.is_integer()
