"""Runs of training: their directories, checkpoints and callbacks."""
