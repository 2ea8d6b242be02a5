"""Names of runs, made of the flags in which they differ from the usual ones."""

import hashlib
import re

from sen_tf.experiments import world_models

LONGEST = 150
"""Characters of a name; file systems take 255 bytes."""
UNNAMED = ("seed", "data_dir", "env_class")


def default_name(chosen: world_models.Settings) -> str:
    """The name of a run's directory: runs whose flags differ have different ones.

    Args:
        chosen: The `world_models.Settings`.
    """
    env, preset = chosen.environment.env, chosen.preset.preset
    model, seed = chosen.network.model, chosen.training.seed
    usual = world_models.choose([f"--env={env}", f"--model={model}", f"--preset={preset}"])
    name = f"{env}-{model}-{preset}-seed{seed}"
    for ours, theirs in zip(chosen, usual, strict=True):
        for flag, value in vars(ours).items():
            if flag not in UNNAMED and value != getattr(theirs, flag):
                text = ",".join(value) if isinstance(value, list) else str(value)
                name += f"-{flag}={re.sub(r'[^-.,A-Za-z0-9]', '_', text)}"
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - 10]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name
