"""Runs of training: fitting, checkpoints, callbacks, directories and scores."""
