"""What the machine and the cluster are taken for."""

import types

import pytest
import tensorflow as tf

from sen_tf.distribution import devices

WORKERS = ["one:2222", "two:2222"]


@pytest.mark.parametrize(
    ("jobs", "task", "chief"),
    [
        ({"worker": WORKERS}, ("worker", 0), True),
        ({"worker": WORKERS}, ("worker", 1), False),
        ({"chief": ["three:2222"], "worker": WORKERS}, ("chief", 0), True),
        ({"chief": ["three:2222"], "worker": WORKERS}, ("worker", 0), False),
    ],
)
def test_one_process_is_chief(jobs, task, chief):
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=task[0], task_id=task[1]
    )
    strategy = types.SimpleNamespace(cluster_resolver=resolver)
    assert devices.is_chief(strategy) == chief
    assert devices.workers(strategy) == sum(map(len, jobs.values()))


def test_a_process_without_a_cluster_is_chief():
    assert devices.is_chief(tf.distribute.get_strategy())
    assert devices.workers(tf.distribute.get_strategy()) == 1


@pytest.mark.parametrize(
    ("known", "precision"),
    [
        ("vendor_id : AuthenticAMD\nflags : avx512f avx512_bf16", "mixed_bfloat16"),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16 amx_bf16", "mixed_bfloat16"),
        ("vendor_id : GenuineIntel\nflags : avx512f avx512_bf16", "float32"),
        ("vendor_id : GenuineIntel\nflags : avx2", "float32"),
        ("", "float32"),
    ],
)
def test_bfloat16_is_chosen_where_the_processor_gains_by_it(known, precision, monkeypatch):
    monkeypatch.setattr(devices, "has_gpu", lambda: False)
    monkeypatch.setattr(devices, "_cpuinfo", lambda: known)
    assert devices.resolve_precision("auto") == precision
    assert devices.resolve_precision("mixed_bfloat16") == "mixed_bfloat16"
