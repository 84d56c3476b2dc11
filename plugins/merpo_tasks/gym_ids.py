"""Gymnasium ids of the environments: importing this module registers them as `merpo/…-v0`."""

from __future__ import annotations

import gymnasium

__all__ = ["IDS"]

# Name -> entry point (imported when an environment is made) and steps per episode.
IDS = {
    "PointRobotWind": ("merpo_tasks.point_robot.envs:PointRobotWindEnv", 25),
    "HalfCheetahFwdBack": ("merpo_tasks.half_cheetah_fwd_back_env:HalfCheetahFwdBackEnv", 200),
    "Walker2DParams": ("merpo_tasks.walker_2d_params_env:Walker2DParamsEnv", 200),
    "AntFwdBack": ("merpo_tasks.ant_fwd_back_env:AntFwdBackEnv", 200),
    "Locomotion": ("merpo_tasks.locomotion_env:LocomotionEnv", 1000),
    "SparsePointRobot": ("merpo_tasks.point_robot.envs:SparsePointRobotEnv", 20),
}


def _register() -> None:
    for name, (entry_point, horizon) in IDS.items():
        if f"merpo/{name}-v0" not in gymnasium.registry:
            gymnasium.register(f"merpo/{name}-v0", entry_point=entry_point, max_episode_steps=horizon)


_register()
