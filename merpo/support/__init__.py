"""Files, locks, signals, processes, metrics and progress: nothing here knows a task, a policy or a recipe."""
