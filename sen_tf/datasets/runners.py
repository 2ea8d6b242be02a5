"""Runs tasks in several processes, on this machine or on those of a Ray cluster.

A task whose process is killed runs again; one that raises an error does not, and its error is
raised here.
"""

import concurrent.futures
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from sen_tf.datasets.progress import progress

ATTEMPTS = 3  # how often the processes may be killed while no task is finished


def run_local(function: Callable, tasks: Sequence, workers: int, title: str) -> None:
    """Calls `function(task)` for every task, in processes of this machine.

    Args:
        function: a function that a new process can import.
        tasks: its arguments; those that are repeated must do no harm.
        workers: number of processes.
        title: of the progress bar on stderr.

    Raises:
        RuntimeError: processes were killed `ATTEMPTS` times on end, such as for lack of memory.
    """
    remaining, lost = list(range(len(tasks))), 0
    with progress(len(tasks), title, "files") as done_with:
        while remaining:
            finished = _finished(function, tasks, remaining, workers, done_with)
            lost = 0 if finished else lost + 1
            if lost == ATTEMPTS:
                raise RuntimeError(
                    f"the worker processes were killed {ATTEMPTS} times before any of "
                    f"{len(remaining)} tasks was done; is there memory for {workers} of them?"
                )
            remaining = [number for number in remaining if number not in finished]


def _finished(function, tasks, numbers, workers, done_with):
    """Runs the tasks of these numbers until all are done or a process is killed."""
    finished = set()
    # A process that is forked from one that has TensorFlow in it can stop for ever.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(workers, len(numbers)), context) as pool:
        futures = {pool.submit(function, tasks[number]): number for number in numbers}
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
                finished.add(futures[future])
                done_with(1)
        except BrokenProcessPool:
            pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return finished


def run_ray(function: Callable, tasks: Sequence, workers: int, title: str) -> None:
    """Calls `function(task)` for every task, by Ray: on its cluster if RAY_ADDRESS names one.

    Arguments and errors as in `run_local`; `workers` is how many tasks run at once. The machines of
    a cluster need the same folders.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ValueError("--runner=ray needs the package: pip install ray") from error

    def call(task):
        function(task)

    ray.init(log_to_driver=False)
    try:
        # Ray starts a task again whose process was killed.
        remote = ray.remote(call).options(num_cpus=1, max_retries=ATTEMPTS - 1)
        waiting = list(tasks)
        running: list[Any] = []
        with progress(len(tasks), title, "files") as done_with:
            while waiting or running:
                while waiting and len(running) < workers:
                    running.append(remote.remote(waiting.pop(0)))
                done, running = ray.wait(running)
                ray.get(done)
                done_with(len(done))
    finally:
        ray.shutdown()


RUNNERS = {"local": run_local, "ray": run_ray}
