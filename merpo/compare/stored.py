"""Intervals as the JSON files of comparisons hold them: the number is called `value`."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

from merpo.support.statistics.interval import Interval, Source

__all__ = ["StoredInterval"]


def _to_json(interval: Interval) -> dict[str, float | tuple[Source, ...] | None]:
    return {"value": interval.mean, "low": interval.low, "high": interval.high, "covers": interval.covers}


def _from_json(value: Any) -> Any:
    return {"mean": value["value"], **value} if isinstance(value, dict) and "value" in value else value


StoredInterval: TypeAlias = Annotated[Interval, BeforeValidator(_from_json), PlainSerializer(_to_json)]
