"""Intervals as the JSON files of comparisons hold them: the number is called `value`."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

from merpo.support.statistics import Interval

__all__ = ["StoredInterval"]


def _to_json(interval: Interval) -> dict[str, float | None]:
    return {"value": interval.mean, "low": interval.low, "high": interval.high}


def _from_json(value: Any) -> Any:
    return {"mean": value["value"], **value} if isinstance(value, dict) and "value" in value else value


StoredInterval: TypeAlias = Annotated[Interval, BeforeValidator(_from_json), PlainSerializer(_to_json)]
