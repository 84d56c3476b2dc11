"""What the seeds of several runs of one recipe decide, so what intervals over them cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from merpo.support.statistics.interval import Source

if TYPE_CHECKING:
    from merpo.report.report import Report

__all__ = ["data_of", "data_sets", "seed_sources", "sources_of"]


def seed_sources(iterations: Mapping[str, int]) -> tuple[Source, ...]:
    """What a run's seed decides, by the iterations of the method's parts, such as `meta_policy`.

    A method that is meta-trained first is meta-trained and adapted with the same seed; another one is only trained.
    """
    meta_trained = any(name.startswith("meta") and count > 0 for name, count in iterations.items())
    return ("meta-training", "adaptation") if meta_trained else ("training",)


def sources_of(reports: Sequence[Report]) -> tuple[Source, ...]:
    """What differs between runs of one recipe with several seeds; the data only if no two have the same."""
    parts = {name: part for name, part in reports[0].section("method").items() if isinstance(part, Mapping)}
    counts = {name: count for name, part in parts.items() if isinstance(count := part.get("iterations"), int)}
    own: tuple[Source, ...] = ("data",) if 1 < data_sets(reports) == len(reports) else ()
    return own + seed_sources(counts)


def data_of(report: Report) -> frozenset[str]:
    """The digests of the data that a run read."""
    return frozenset(entry.sha256 for entry in report.datasets)


def data_sets(reports: Sequence[Report]) -> int:
    """How many sets of data the runs have, by the digests; 0 where a run does not name its data."""
    found = {data_of(report) for report in reports}
    return 0 if frozenset() in found else len(found)
