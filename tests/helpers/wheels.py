"""Small wheels written directly, so that tests need no network and no build tool."""

from __future__ import annotations

import zipfile
from pathlib import Path

__all__ = ["TOYS", "build_wheel", "unpack"]


def build_wheel(
    folder: Path, distribution: str, modules: dict[str, str], *, version: str = "1.0", entry_points: str | None = None
) -> Path:
    """Build a wheel of modules {name: source}; by default each is an entry point of group `merpo`."""
    stem = f"{distribution.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    if entry_points is None:
        entry_points = "[merpo]\n" + "".join(f"{name} = {name}\n" for name in modules)
    files = {f"{name}.py": source for name, source in modules.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return path


def unpack(wheel: Path, site: Path) -> None:
    """Install a pure wheel by unpacking it into `site`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


TOYS = '''
"""A plugin with the components that a recipe needs at least."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from merpo import AlphaScheduler, Method, TaskFamily, component_field, hookimpl
from merpo.lazy import torch


class Even(AlphaScheduler):
    """Alpha that stays."""

    name = "even"

    initial: float = Field(0.4, ge=0, le=1, description="First alpha (Table 2).")
    pace: Literal["slow", "fast"] = Field("slow", description="How fast.", json_schema_extra={"source": "A.9"})

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        return alpha


class Odd(AlphaScheduler):
    """Alpha with other knobs."""

    name = "odd"

    initial: float = Field(0.1, ge=0, le=1, description="First alpha.")
    period: int = Field(3, ge=1, le=99, description="Steps between changes.")

    def update(self, alpha: torch.Tensor, to_behavior: torch.Tensor, to_meta: torch.Tensor) -> torch.Tensor:
        return alpha


class Pace(BaseModel):
    """A section of the method."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    tempo: int = Field(3, ge=1, le=9, description="Beats.")


class Toy(Method):
    """A method that learns nothing."""

    name = "toy"

    alpha: AlphaScheduler = component_field("even", description="The balance.", initial=0.3)
    second: AlphaScheduler | None = Field(None, description="Another balance.")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((8, 8), max_length=4, description="Hidden widths.")
    steps: int = Field(10, ge=0, le=1000, description="Steps.")
    rate: float = Field(0.5, gt=0, lt=1, description="Rate.")
    tune: bool = Field(True, description="Whether to tune.")
    pace: Pace = Field(Pace(), description="A section.")

    def fit(self, tasks, context):
        return {}

    def adapt(self, meta, tasks, context):
        raise NotImplementedError

    def act(self, policy, observations):
        return observations


class Line(TaskFamily):
    """Points on a line."""

    name = "line"

    horizon: int = Field(20, ge=1, le=1000, description="Steps per episode.")

    def spec(self):
        raise NotImplementedError

    def tasks(self, train, test):
        return [{}] * train, [{}] * test

    def make(self, task):
        raise NotImplementedError


@hookimpl
def merpo_components():
    return [Even, Odd, Toy, Line]
'''
