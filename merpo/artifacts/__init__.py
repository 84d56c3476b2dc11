"""Files of stages and runs: artifacts, checkpoints and the run folder."""
