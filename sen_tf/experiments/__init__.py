"""Experiments: models of environments, and the tables that compare them."""
