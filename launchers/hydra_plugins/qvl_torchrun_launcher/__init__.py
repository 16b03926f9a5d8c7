"""Hydra launcher that runs the jobs of a sweep side by side, each under torchrun on devices of its own."""
