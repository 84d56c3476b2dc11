"""Simulations of MuJoCo bodies, one at a time or many together; needs the extra `mujoco`."""
