"""Simulations of MuJoCo bodies, single or batched; needs the extra `mujoco`."""
