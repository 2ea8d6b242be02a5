"""Devices: communication between replicas, abilities of the machine, a quiet start."""
