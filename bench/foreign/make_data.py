"""Write the logs of the foreign suite to merpo's store, or as the files that a new user would have.

    python bench/foreign/make_data.py
    python bench/foreign/make_data.py --csv logs --families heating --qualities medium

Each family and quality is a collection: `foreign-heating-medium` holds `train-00` to `train-11` and `test-00` to
`test-03`, the same bits on every call; what the store holds already stays. A recipe reads and evaluates them with

    [tasks]
    component = "foreign-heating"

    [data]
    train = ["store:foreign-heating-medium/train-*"]
    test = ["store:foreign-heating-medium/test-*"]

for which the package must be installed: `pip install -e bench/foreign`. With `--csv FOLDER` the store is not touched:
`FOLDER/foreign-heating-medium/train/` and `test/` hold a file per task, `columns.toml` says what their columns are,
and the tasks' parameters are in `train.toml` and `test.toml`. To import them:

    cd logs/foreign-heating-medium
    merpo data import train --name heating --columns columns.toml

which leaves a new user's position: logs without an environment. With `--family foreign-heating` and `--task-params
train.toml` the returns of policies can be measured, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tomli_w
from merpo_foreign.suite import FAMILIES, QUALITIES, TEST, TRAIN, family, suite_logs

from merpo.data.dataset import TaskDataset
from merpo.data.import_logs import Imported, store_imported

__all__ = ["main", "write_csv"]


def main() -> None:
    """Write all that the command line names."""
    arguments = _arguments()
    for name in arguments.families:
        for quality in arguments.qualities:
            one = family(name)
            train, test = suite_logs(one, quality, arguments.train, arguments.test)
            collection = f"{one.name}-{quality}"
            if arguments.csv:
                write_csv(arguments.csv / collection, train, test, one.terminates)
                print(f"{collection}: {len(train)} + {len(test)} files in {arguments.csv / collection}")
            else:
                origin = {"source": "bench/foreign/make_data.py", "quality": quality}
                store_imported(collection, [Imported(data, origin) for data in (*train, *test)], one.name, print)


def write_csv(folder: Path, train: Sequence[TaskDataset], test: Sequence[TaskDataset], terminates: bool) -> None:
    """Write a file per task; next observations and ends only where episodes terminate, as those need them."""
    first = train[0]
    observations = [f"s{i}" for i in range(first.observations.shape[1])]
    actions = [f"a{i}" for i in range(first.actions.shape[1])]
    columns = {"observations": observations, "actions": actions, "rewards": "reward", "episodes": "episode"}
    if terminates:
        columns |= {"next_observations": [f"next_{name}" for name in observations], "terminations": "end"}
    for part, datasets in (("train", train), ("test", test)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for data in datasets:
            (folder / part / f"{data.name}.csv").write_text(_csv(data, columns, terminates), "utf-8")
        (folder / f"{part}.toml").write_text(tomli_w.dumps({data.name: data.task for data in datasets}), "utf-8")
    (folder / "columns.toml").write_text(tomli_w.dumps(columns), "utf-8")


def _csv(data: TaskDataset, columns: dict[str, object], terminates: bool) -> str:
    """The rows of one dataset, every number with all its digits."""
    lengths = data.episode_offsets.diff().numpy()
    parts = [np.repeat(np.arange(len(lengths)), lengths)[:, None]]
    keys = ("observations", "actions", "rewards", *(("next_observations", "terminations") if terminates else ()))
    head = ["episode"]
    for key in keys:
        names = columns[key]
        head += names if isinstance(names, list) else [str(names)]
        array = getattr(data, key).numpy()
        parts.append(array.reshape(len(data), -1))
    rows = zip(*(column for part in parts for column in part.T), strict=True)
    return "\n".join([",".join(head), *(",".join(map(str, row)) for row in rows)]) + "\n"


def _arguments() -> argparse.Namespace:
    names = [cls.name.removeprefix("foreign-") for cls in FAMILIES]
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--families", nargs="+", choices=names, default=names)
    made.add_argument("--qualities", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    made.add_argument("--train", type=int, default=TRAIN, help="training tasks")
    made.add_argument("--test", type=int, default=TEST, help="unseen tasks")
    made.add_argument("--csv", type=Path, metavar="FOLDER", help="write files instead of the store's datasets")
    return made.parse_args()


if __name__ == "__main__":
    main()
