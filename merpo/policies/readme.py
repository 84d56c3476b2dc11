"""`README.md` beside exported policies: what each file takes and gives, and how to use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from merpo.errors import ArtifactError
from merpo.policies.describe import described
from merpo.policies.onnx_names import ACTION, IN_UNITS, OBSERVATION
from merpo.policies.saved import SavedPolicies
from merpo.support.files import atomic_write_text
from merpo.support.read import FileKind
from merpo.support.tables import markdown_table

__all__ = ["README", "Described", "write_readme"]

README = "README.md"
TITLE = "# Policies exported by merpo"
HEAD = ("file", "task", "parameters", "input and outputs")
_KIND = FileKind("a README of `merpo export`", limit=16 << 20)

BODY = f"""\
{TITLE}

Each file holds the policy of one task. `merpo export` writes this page, and keeps the lines of files that it exported
here before.

{{table}}
- `{OBSERVATION}` is what the environment or the machine gives, without any normalisation: that is part of the policy.
  Where the table has numbers after "minus", subtract these first, in double precision: neither an ONNX graph nor
  `merpo.load_policy` does, because float32 cannot hold the observations before (`policy.subtracted` has the numbers).
- `{ACTION}` is the deterministic action in [-1, 1].
- `{IN_UNITS}` is the same action between the bounds that the actions of the data had: what the machine takes. A file
  without it comes from a run that did not record the bounds.
- Observations must be finite. For a row with NaN or infinity an ONNX graph answers NaN in every action, and a policy of
  `merpo.load_policy` raises an error; a file that was exported with `--allow-non-finite` computes whatever comes out.
- A file carries a SHA-256 over its bytes, which `merpo.load_policy` verifies.

A `.safetensors` file needs merpo:

```python
from merpo import load_policy

policy = load_policy("FILE")
print(policy(observation), policy.action_in_units(observation))
```

A `.onnx` file needs an ONNX runtime. Its metadata have the lines of the table, the bounds, and the task:

```python
import onnxruntime

session = onnxruntime.InferenceSession("FILE")
print(session.get_modelmeta().custom_metadata_map["{ACTION}"])
actions = session.run(["{IN_UNITS}"], {{"{OBSERVATION}": observations}})[0]  # float32 [batch, …]
```
"""


class Described(NamedTuple):
    """An exported file, and the policy in it."""

    file: str
    policy: SavedPolicies


def write_readme(folder: Path, files: Sequence[Described], allow_non_finite: bool) -> Path | None:
    """Write the page about all exported files of a folder; None if there is another README, which is left alone.

    Raises `MerpoError` if the system refuses.
    """
    path = folder / README
    lines = {}
    if path.exists():
        try:
            text = _KIND.read_text(path)
        except ArtifactError:
            return None
        if not text.startswith(f"{TITLE}\n"):
            return None
        lines = _lines(text)
    for file, policy in files:
        task = policy.tasks[0]
        parts = (f"{key}: {text}" for key, text in described(policy, allow_non_finite).items())
        row = (file, str(task.index), json.dumps(task.params, sort_keys=True), "; ".join(parts))
        lines |= _lines(markdown_table(HEAD, [row], len(HEAD)))
    head = markdown_table(HEAD, [], len(HEAD))
    table = head + "".join(f"{line}\n" for _, line in sorted(lines.items()))
    atomic_write_text(path, BODY.replace("{table}", table))
    return path


def _lines(text: str) -> dict[str, str]:
    """The lines of the table of files, by file."""
    rows = (line for line in text.splitlines() if line.startswith("| ") and line.endswith(" |"))
    found = {row[2:].partition(" | ")[0]: row for row in rows}
    return {file: row for file, row in found.items() if file not in (HEAD[0], "---")}
