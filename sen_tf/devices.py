"""What the machine can do: GPUs, bfloat16 instructions, distribution strategies."""

import pathlib

import tensorflow as tf


def has_gpu():
    return bool(tf.config.list_physical_devices("GPU"))


def resolve_precision(precision):
    """The dtype policy that `"auto"` means on this machine; others are returned as they are."""
    if precision != "auto":
        return precision
    if has_gpu():
        return "mixed_float16"
    return "mixed_bfloat16" if _cpu_has_bfloat16() else "float32"


def _cpu_has_bfloat16():
    cpu = pathlib.Path("/proc/cpuinfo")
    known = cpu.read_text(encoding="utf-8", errors="replace") if cpu.exists() else ""
    return "amx_bf16" in known or "avx512_bf16" in known


def make_strategy(strategy):
    """The `tf.distribute` strategy; `"auto"` mirrors over the GPUs where there are several."""
    several = len(tf.config.list_physical_devices("GPU")) > 1
    if strategy == "mirrored" or (strategy == "auto" and several):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
