"""Agents: what learns to act in vectors, from experience or from demonstrations."""
