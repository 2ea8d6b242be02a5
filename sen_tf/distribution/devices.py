"""The abilities of the machine: GPUs, bfloat16 instructions, distribution strategies."""

import os
import pathlib
import platform
import re

import tensorflow as tf


def has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def resolve_precision(precision: str) -> str:
    """The dtype policy that `"auto"` means on this machine; others are returned as they are."""
    if precision != "auto":
        return precision
    if has_gpu():
        return "mixed_float16"
    return "mixed_bfloat16" if _cpu_gains_by_bfloat16() else "float32"


def _cpu_gains_by_bfloat16():
    """True if products of bfloat16 are faster than those of float32.

    They are on AMD, and where Intel has matrix units. Its vector instructions are not: a core of a
    Xeon without AMX made 84 GFLOP/s in bfloat16 and 160 in float32, and took 0.70 to 0.92 of the
    time in float32 for a training step of the five environments.
    """
    known = _cpuinfo()
    return "amx_bf16" in known or ("GenuineIntel" not in known and _cpu_has_bfloat16())


def _cpu_has_bfloat16():
    known = _cpuinfo()
    return "amx_bf16" in known or "avx512_bf16" in known


def _cpuinfo():
    path = pathlib.Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def describe() -> str:
    """The GPUs, or the processor and its cores, for reports of what was measured where."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu)["device_name"] for gpu in gpus]
        return ", ".join(names)
    models = re.findall(r"model name\s*: (.*)", _cpuinfo())
    name = models[0] if models else platform.processor()
    kind = "bfloat16 instructions" if _cpu_has_bfloat16() else "no bfloat16 instructions"
    return f"{name}, {cores()} core{'s' if cores() != 1 else ''}, {kind}"


def cores() -> int:
    """The cores that this process may use, which in a container are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def xla_pays() -> bool:
    """True if compiling training steps with XLA pays, in the strategy that is in scope.

    On one GPU. On CPUs it made the convolutions of the embeddings three times slower, and a
    mirrored step of Keras cannot be compiled whole.
    """
    return has_gpu() and tf.distribute.get_strategy().num_replicas_in_sync == 1


def make_strategy(strategy: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy; `"auto"` mirrors over the GPUs where there are several.

    `"multi_worker"` must be made before TensorFlow computes anything, and waits for the others.

    Raises:
        ValueError: For `"multi_worker"` without the environment variable TF_CONFIG.
    """
    if strategy == "multi_worker":
        if "cluster" not in os.environ.get("TF_CONFIG", ""):
            raise ValueError(
                "--strategy=multi_worker needs the environment variable TF_CONFIG, on each machine "
                """with its own index: TF_CONFIG='{"cluster": {"worker": ["host1:2222", """
                """"host2:2222"]}, "task": {"type": "worker", "index": 0}}'"""
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    several = len(tf.config.list_physical_devices("GPU")) > 1
    if strategy == "mirrored" or (strategy == "auto" and several):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def workers(strategy: tf.distribute.Strategy) -> int:
    """The number of processes that train together."""
    resolver = strategy.cluster_resolver
    cluster = {} if resolver is None else resolver.cluster_spec().as_dict()
    return max(1, sum(len(cluster.get(job, ())) for job in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """True if this process is the one that writes what the run leaves."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type == "chief":
        return True
    return not resolver.task_id and "chief" not in resolver.cluster_spec().jobs
