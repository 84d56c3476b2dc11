from pydantic import Field

from merpo import AlphaScheduler, hookimpl


class Halving(AlphaScheduler):
    """α goes half of the way to its goal at every update."""

    name = "halving"

    initial: float = Field(0.4, ge=0, le=1, description="First α of every task.")
    goal: float = Field(0.1, ge=0, le=1, description="Where α goes.")

    def update(self, alpha, to_behavior, to_meta):
        """The middle between α [T] and the goal."""
        return (alpha + self.goal) / 2


@hookimpl
def merpo_components():
    return [Halving]
