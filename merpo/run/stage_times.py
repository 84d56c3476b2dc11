"""Training time of a run's stages, summed over all the processes that worked on its folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, final

from pydantic import Field

from merpo.artifacts.keeper import CHECKPOINTS
from merpo.artifacts.run_folder import ADAPTED, META, OUTPUTS, RunFolder
from merpo.components.context import Resume
from merpo.errors import ArtifactError
from merpo.report.report import REPEATED_STAGES, report_of
from merpo.support.files import atomic_write_json
from merpo.support.read import FileKind
from merpo.support.stopwatch import Stopwatch
from merpo.types import Params

__all__ = ["StageTimes"]

State = TypeVar("State", bound=Any)

FILE = "timings.json"
WHOLE = {"fit": META, "adapt": ADAPTED}  # stages around others -> the artifact that is there once they have ended
_FILE = FileKind("seconds by stage", hint="delete it, and the time of what is finished is not known")
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@final
class StageTimes:
    """The times of stages, stored in `timings.json` with every saved stage and every checkpoint within one.

    A loaded stage keeps its stored time; a resumed one adds to it. Work lost by a kill after the last checkpoint is not
    counted. For a folder of an older merpo without stored times, they are read from its report, if any.
    """

    def __init__(self, folder: RunFolder, watch: Stopwatch) -> None:
        """Read stored times; raises `ArtifactError` if `timings.json` is damaged."""
        self.reused: list[str] = []  # stages loaded by this process
        self.watch = watch
        self._folder = folder
        path = folder.path / FILE
        self._before = _FILE.read_model(path, dict[str, Seconds]) if path.exists() else _of_report(folder)
        self._ended = {stage for stage, artifact in WHOLE.items() if folder.finished(artifact)} & self._before.keys()
        self._unknown: set[str] = set()
        self._unstarted = not (folder.path / CHECKPOINTS).exists()

    def stage(self, name: str, compute: Callable[[], dict[str, Params]]) -> dict[str, Params]:
        """`RunFolder.stage` with its time recorded."""
        computed = False

        def timed() -> dict[str, Params]:
            nonlocal computed
            computed = True
            if self._folder.lost(name) and self._unstarted:
                self._before.pop(name, None)
            with self.watch.stage(name):
                groups = compute()
            self.write()  # before the stage is saved, so that every finished stage has a time
            return groups

        groups = self._folder.stage(name, timed)
        if not computed and name not in self.watch.seconds and name not in self.reused:
            self.reused.append(name)
            if name not in self._before:
                self._unknown.add(name)
        return groups

    def loaded(self, name: str) -> None:
        """Record that an outer stage was loaded, with all stages within it that this process has not started."""
        begun = (*self.watch.read(), *self.reused, *OUTPUTS)
        within = [stage for stage in self._folder.recorded() if stage not in begun]
        self.reused += [*within, name]
        self._unknown.update(stage for stage in within if stage not in self._before)

    def resume(self, resume: Resume) -> Resume:
        """`resume`, recording that a stage resumed without a stored time has no known total."""

        def found(label: str, start: State) -> tuple[int, State]:
            step, state = resume(label, start)
            stage = self.watch.current
            if step > 0 and stage is not None and stage not in self._before:
                self._unknown.add(stage)
            return step, state

        return found

    def write(self) -> None:
        """Write the times so far."""
        self._folder.check_exists()
        known = {name: round(seconds, 3) for name, seconds in self._known().items() if name not in REPEATED_STAGES}
        atomic_write_json(self._folder.path / FILE, known)

    def read(self) -> dict[str, float | None]:
        """Seconds by stage; None for a reused or resumed stage without a stored time."""
        known = self._known()
        names = dict.fromkeys(["data", *self._before, *self.reused, *self.watch.seconds])
        return {name: known.get(name) for name in names if name in known or name in self._unknown}

    def _known(self) -> dict[str, float]:
        now = {name: seconds for name, seconds in self.watch.read().items() if name not in self._ended}
        names = [name for name in dict.fromkeys([*self._before, *now]) if name not in self._unknown]
        return {name: self._before.get(name, 0.0) + now.get(name, 0.0) for name in names}


def _of_report(folder: RunFolder) -> dict[str, float]:
    """The times in a run's report; empty if there is none, or none that the run wrote."""
    try:
        found = report_of(folder.path, folder.trust).timings
    except ArtifactError:
        return {}
    return {name: taken for name, taken in found.items() if taken is not None and name not in REPEATED_STAGES}
