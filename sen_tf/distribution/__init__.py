"""Several devices: what replicas tell each other, and what the machine has."""
