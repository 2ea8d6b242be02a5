"""Training at the paper's settings where TensorFlow is not: seconds a step and an epoch on JAX.

Run with: python -m benchmarks.gpu --env=cubes --precision float32 mixed_float16 --peer

For a machine with a GPU, though it runs without. `--peer` trains the same model in PyTorch, in
float32, eager and compiled. All pass in turn through the same transitions, rendered here and kept
in the host's memory; their first pass, which compiles, does not count.
"""

import argparse
import dataclasses
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory too

import gymnasium
import jax
import keras
import numpy as np

from sen_tf import datasets, envs, settings
from sen_tf.experiments import networks

LEARNING_RATE = 5e-4


@dataclasses.dataclass(frozen=True)
class Uniform:
    """A behaviour policy: uniform over the actions, without TensorFlow Probability."""

    space: gymnasium.Space

    def sample(self, shape, seed):
        rng = np.random.default_rng(seed)
        if isinstance(self.space, gymnasium.spaces.Discrete):
            return rng.integers(self.space.n, size=shape)
        return rng.uniform(self.space.low, self.space.high, (*shape, *self.space.shape))


def collect(name, count, steps):
    """`count` transitions out of episodes of `steps` steps: a dict of arrays."""
    env = envs.make(name)
    policy, episodes = Uniform(env.action_space), -(-count // steps)
    blocks = datasets.collect(env, policy, episodes=episodes, steps=steps, seed=0)
    frames, actions = zip(*((block.observations, block.actions) for block in blocks), strict=True)
    frames, actions = np.concatenate(frames), np.concatenate(actions)
    actions = actions.astype(np.int32) if actions.dtype == np.int64 else actions
    data = {"obs": frames[:, :-1], "next_obs": frames[:, 1:], "action": actions}
    return {key: value.reshape(-1, *value.shape[2:])[:count] for key, value in data.items()}


def ours(options, precision, data):
    """A function that trains our model on all of the data once."""
    model = networks.make_model(
        options.env, options.model, options.hidden, options.filters, dtype=precision
    )
    model.compile(keras.optimizers.Adam(LEARNING_RATE), networks.make_loss(options.env))
    return lambda: model.fit(data, batch_size=options.batch_size, shuffle=False, verbose=0)


def peers(options, data):
    """The same functions for the model in PyTorch, by name."""
    import torch

    from benchmarks import torch_models

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    arrays = {
        **{key: np.ascontiguousarray(np.moveaxis(data[key], -1, 1)) for key in ("obs", "next_obs")},
        "action": data["action"].astype(np.int64 if data["action"].ndim == 1 else np.float32),
    }

    def make(compiled):
        model = torch_models.make_model(options.env, options.hidden, options.filters).to(device)
        loss = torch.compile(model.loss) if compiled else model.loss
        optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)

        def train():
            for start in range(0, len(arrays["action"]), options.batch_size):
                rows = slice(start, start + options.batch_size)
                batch = {key: torch.from_numpy(x[rows]).to(device) for key, x in arrays.items()}
                optimizer.zero_grad()
                loss(batch, torch.randperm(options.batch_size, device=device)).backward()
                optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return train

    return {"PyTorch, eager": make(False), "PyTorch, compiled": make(True)}


@dataclasses.dataclass(frozen=True)
class Paper:
    """What the paper's flagfile of an environment says of sizes."""

    hidden: int = settings.setting(256, "Width.")
    filters: int = settings.setting(32, "Channels.")
    batch_size: int = settings.setting(1024, "Transitions per step.")
    train_episodes: int = settings.setting(1000, "Training episodes.")
    train_steps: int = settings.setting(100, "Steps per training episode.")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="cubes", choices=("cubes", "reacher"))
    parser.add_argument("--model", default="sen")
    parser.add_argument("--precision", nargs="+", default=["float32", "mixed_bfloat16"])
    parser.add_argument("--steps", type=int, help="steps a pass; the paper's epoch by default")
    parser.add_argument("--hidden", type=int, help="the paper's by default, as the next two")
    parser.add_argument("--filters", type=int)
    parser.add_argument("--batch_size", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    if options.peer and options.model != "sen":
        parser.error("--peer is that of --model=sen")
    files = settings.flagfiles(options.env, "paper", "paper")
    (paper,) = settings.parse([], Paper, files=lambda values: (files, {}))
    for name in ("hidden", "filters", "batch_size"):
        if getattr(options, name) is None:
            setattr(options, name, getattr(paper, name))
    epoch = paper.train_episodes * paper.train_steps // options.batch_size
    return options, options.steps or epoch, epoch, paper.train_steps


def main():
    options, steps, epoch, episode = parse()
    data = collect(options.env, steps * options.batch_size, episode)
    passes = {f"Keras, {name}": ours(options, name, data) for name in options.precision}
    if options.peer:
        passes |= peers(options, data)
    times = {name: [] for name in passes}
    for _ in range(options.rounds + 1):
        for name, train in passes.items():
            start = time.perf_counter()
            train()
            times[name].append((time.perf_counter() - start) / steps)
    print(
        f"{jax.devices()[0].device_kind}; {options.env} {options.model}, width {options.hidden}, "
        f"{options.filters} filters, batch {options.batch_size}, passes of {steps} steps"
    )
    first = statistics.median(times[next(iter(times))][1:])
    for name, (_, *counted) in times.items():
        median = statistics.median(counted)
        spread = (max(counted) - min(counted)) / median
        print(
            f"{name:24}{1000 * median:10.2f} ms a step{epoch * median:9.1f} s an epoch of {epoch} "
            f"steps   {median / first:.2f}x the first's time   spread {spread:.0%}"
        )


if __name__ == "__main__":
    main()
