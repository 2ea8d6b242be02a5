"""PyTorch counterparts ("peers") of the `sen` models of 3D Blocks, 2D Shapes and Reacher.

They compute what `experiments.networks` does, as the published models do: eager PyTorch in float32
with images channels-first, the expanded kernels of group layers gathered in every call, messages
along explicit lists of edges, each frame of a transition embedded by itself. Vectors have the group
axis before the channels, as ours, so that no layer has to move axes. `Tuning` is what a user would
try to make their steps faster.

Reference: Park et al. (2022), appendix; Kipf, van der Pol and Welling (2020).
"""

import contextlib
import dataclasses
import itertools
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
"""As many as TensorFlow takes: one per core."""
LEARNING_RATE = 5e-4
HINGE = 1.0
SIGMA = 0.5
EPSILON = 1e-5
OBJECTS = 5
MOVES = 4
TORQUES = 2
DILATIONS = (2, 4, 8, 16, 32)
IMAGE_SHAPES = {
    "cubes": (3, 50, 50),
    "shapes": (3, 50, 50),
    "reacher": (6, 129, 129),
    "reacher-65": (6, 65, 65),
}


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How a step is done.

    channels_last: whether images and kernels have their channels last in memory.
    one_pass: whether both frames of a transition are embedded together.
    autocast: whether layers compute in bfloat16 where PyTorch thinks it safe.
    """

    channels_last: bool = False
    one_pass: bool = False
    autocast: bool = False

    def __str__(self):
        return ", ".join(
            words
            for words, on in (
                ("channels last", self.channels_last),
                ("both frames in one pass", self.one_pass),
                ("autocast", self.autocast),
            )
            if on
        )


AS_PUBLISHED = Tuning()


def _conv_norm_relu(channels, filters, kernel_size, **arguments):
    return [
        nn.Conv2d(channels, filters, kernel_size, **arguments),
        nn.BatchNorm2d(filters, EPSILON),
        nn.ReLU(),
    ]


def conv_embedding(filters):
    """3D Blocks: images `(batch, 3, 50, 50)` to one map an object, `(batch, 5, 50, 50)`."""
    layers = []
    for channels, width in itertools.pairwise((3, filters, filters, filters)):
        layers += _conv_norm_relu(channels, width, 3, padding=1)
    return nn.Sequential(*layers, nn.Conv2d(filters, OBJECTS, 3, padding=1), nn.Sigmoid())


def cell_embedding(filters):
    """2D Shapes: images `(batch, 3, 50, 50)` to one map an object, `(batch, 5, 5, 5)`."""
    first = _conv_norm_relu(3, filters, 10, stride=10)
    return nn.Sequential(*first, nn.Conv2d(filters, OBJECTS, 1), nn.Sigmoid())


def dilated_embedding(filters, channels):
    """Reacher: two frames `(batch, 6, 129, 129)` to maps `(batch, channels, 33, 33)`."""
    layers = _conv_norm_relu(6, filters, 3, stride=2, padding=1)
    for rate in DILATIONS:
        layers += _conv_norm_relu(filters, filters, 3, padding=rate, dilation=rate)
    return nn.Sequential(*layers, nn.Conv2d(filters, channels, 3, stride=2, padding=1))


def strided_embedding(filters, channels):
    """Reacher: two frames `(batch, 6, 65, 65)` to maps `(batch, channels, 17, 17)`."""
    layers = _conv_norm_relu(6, filters, 3, stride=2, padding=1)
    layers += _conv_norm_relu(filters, 2 * filters, 3, stride=2, padding=1)
    for rate in (1, 2, 4):
        layers += _conv_norm_relu(2 * filters, 2 * filters, 3, padding=rate, dilation=rate)
    return nn.Sequential(*layers, nn.Conv2d(2 * filters, channels, 3, padding=1))


class Quadrants(nn.Module):
    """Maps `(batch, objects, side, side)` as functions on C4, `(batch, objects, 4, pixels)`.

    Entry g is the first quadrant of the map turned by g^-1; an odd side has a centre pixel too.
    """

    def forward(self, maps):
        side = maps.shape[-1]
        rows, columns = side // 2, (side + 1) // 2
        stack = []
        for turns in range(4):
            quadrant = torch.rot90(maps, -turns, (2, 3))[..., :rows, :columns].flatten(2)
            if side % 2:
                quadrant = torch.cat([maps[..., rows, rows, None], quadrant], dim=-1)
            stack.append(quadrant)
        return torch.stack(stack, dim=2)


class C4Linear(nn.Module):
    """`y(g) = sum_h x(h) K(g^-1 h) + b`: `(..., 4, channels)` to `(..., 4, filters)`.

    One product with the expanded kernel, which every call gathers from the learnt one. The gather
    is `index_select`, whose gradient takes less time than that of indexing.
    """

    def __init__(self, channels, filters):
        super().__init__()
        bound = (4 * channels) ** -0.5
        self.kernel = nn.Parameter(torch.empty(4, filters, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(filters).uniform_(-bound, bound))
        elements = torch.arange(4)
        table = (elements - elements[:, None]) % 4  # table[g, h] = g^-1 h
        self.register_buffer("table", table.flatten())

    def forward(self, x):
        _, filters, channels = self.kernel.shape
        matrix = self.kernel.index_select(0, self.table).view(4, 4, filters, channels)
        matrix = matrix.transpose(1, 2).reshape(4 * filters, 4 * channels)
        y = functional.linear(x.flatten(-2), matrix, self.bias.repeat(4))
        return y.unflatten(-1, (4, filters))


def _c4_mlp(channels, hidden, filters):
    return [
        C4Linear(channels, hidden),
        nn.ReLU(),
        C4Linear(hidden, hidden),
        nn.LayerNorm(hidden, EPSILON),
        nn.ReLU(),
        C4Linear(hidden, filters),
    ]


class ObjectGraph(nn.Module):
    """From states `(batch, 5, 4, latent)` and actions `(batch,)` to the changes of the states.

    Messages run along a list of the edges of all graphs of the batch: their two ends are gathered,
    the edge network makes a message of each pair, and those of a receiver are added up.
    """

    def __init__(self, hidden, latent):
        super().__init__()
        self.edge = nn.Sequential(*_c4_mlp(2 * latent, hidden, hidden))
        self.node = nn.Sequential(*_c4_mlp(latent + 1 + hidden, hidden, latent))
        pairs = itertools.permutations(range(OBJECTS), 2)
        self.register_buffer("pairs", torch.tensor(list(pairs)).T)

    def _edges(self, graphs):
        """Receivers and senders, numbers of nodes of the whole batch: each `(edges,)`."""
        first_nodes = OBJECTS * torch.arange(graphs, device=self.pairs.device)
        return (self.pairs[:, None] + first_nodes[:, None]).flatten(1)

    def forward(self, state, action):
        nodes = state.flatten(0, 1)
        receivers, senders = self._edges(len(state))
        ends = [nodes.index_select(0, receivers), nodes.index_select(0, senders)]
        messages = self.edge(torch.cat(ends, dim=-1))
        received = messages.new_zeros(len(nodes), *messages.shape[1:])
        received = received.index_add(0, receivers, messages)
        inputs = torch.cat([nodes, _moves_on_c4(action), received], dim=-1)
        return self.node(inputs).view(state.shape)


def _moves_on_c4(action):
    """The one-hot moves of each object as functions on C4: `(batch * objects, 4, 1)`.

    The turn by g takes move d to d - g, so that entry g is what move -g was.
    """
    moves = functional.one_hot(action, OBJECTS * MOVES).view(-1, MOVES)
    return moves[:, [0, 3, 2, 1], None].to(torch.float32)


class WorldModel(nn.Module):
    """Embedding, encoder and transition, and the contrastive loss.

    Args:
        embedding: From images `(batch, channels, rows, columns)` in [0, 1] to features.
        encoder: From features to states `(batch, ...)`.
        transition: From states and actions to changes of the states.
        objects: Number of objects, over which energies are averaged.
    """

    def __init__(self, embedding, encoder, transition, objects):
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.transition = transition
        self.objects = objects

    def encode(self, images):
        """States of images `(batch, channels, rows, columns)` of integers in 0..255."""
        return self.encoder(self.embedding(images.to(torch.float32) / 255))

    def step(self, state, action):
        """The predicted next states."""
        return state + self.transition(state, action)

    def loss(self, batch, order, one_pass=False):
        """The loss of a batch of transitions.

        Args:
            batch: Dict of `obs` and `next_obs`, images, and `action`.
            order: Sample whose state is the negative of each: integers `(batch,)`.
            one_pass: As in `Tuning`.
        """
        frames = [batch["obs"], batch["next_obs"]]
        if one_pass:
            state, next_state = self.encode(torch.cat(frames)).chunk(2)
        else:
            state, next_state = map(self.encode, frames)
        return self.contrast(state, self.step(state, batch["action"]), next_state, order)

    def contrast(self, state, predicted, next_state, order):
        """The mean of `energy(predicted, next_state) + max(0, hinge - energy(state, negative))`."""
        away = self._energy(state, state[order])
        return (self._energy(predicted, next_state) + (HINGE - away).clamp(min=0)).mean()

    def _energy(self, x, y):
        return (x.float() - y.float()).square().flatten(1).sum(1) * (0.5 / SIGMA**2 / self.objects)


def _object_model(embedding, side, hidden, latent=2):
    pixels = (side // 2) * ((side + 1) // 2) + side % 2
    encoder = nn.Sequential(Quadrants(), *_c4_mlp(pixels, hidden, latent))
    return WorldModel(embedding, encoder, ObjectGraph(hidden, latent), OBJECTS)


def _reacher_model(hidden, filters, small, latent=4):
    from benchmarks import e2cnn_reacher

    channels = 16 if small else 8
    embed, encoder = (
        (strided_embedding, e2cnn_reacher.StridedEncoder)
        if small
        else (dilated_embedding, e2cnn_reacher.Encoder)
    )
    return WorldModel(
        embed(filters, channels),
        encoder(channels, hidden, latent),
        e2cnn_reacher.Transition(latent, TORQUES, 2 * hidden if small else hidden),
        objects=1,
    )


def make_model(env, hidden, filters):
    """The peer of `sen_tf.experiments.networks.make_model(env, "sen", hidden, filters, "float32")`.

    Args:
        env: `"cubes"`, `"shapes"`, or `"reacher"` or `"reacher-65"`, which need e2cnn.
        hidden: Width of encoder and transition in fields.
        filters: Channels of the embedding; half as many for shapes.
    """
    makers = {
        "cubes": lambda: _object_model(conv_embedding(filters), 50, hidden),
        "shapes": lambda: _object_model(cell_embedding(filters // 2), 5, hidden),
        "reacher": lambda: _reacher_model(hidden, filters, small=False),
        "reacher-65": lambda: _reacher_model(hidden, filters, small=True),
    }
    if env not in makers:
        raise ValueError(f"`env` must be one of {', '.join(makers)}, got {env!r}.")
    return makers[env]()


def random_batch(env, count, rng):
    """A batch of random transitions, as `WorldModel.loss` takes them.

    Args:
        env: As in `make_model`.
        count: Number of transitions.
        rng: A `numpy.random.Generator`.
    """
    frames = rng.integers(0, 256, (2, count, *IMAGE_SHAPES[env]), np.uint8)
    if env.startswith("reacher"):
        action = rng.uniform(-1, 1, (count, TORQUES)).astype(np.float32)
    else:
        action = rng.integers(0, OBJECTS * MOVES, count)
    batch = {"obs": frames[0], "next_obs": frames[1], "action": action}
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def make_step(env, hidden, filters, batch_size, tuning=AS_PUBLISHED):
    """A step of training, to be timed; it also sets the number of PyTorch's threads.

    Args:
        env, hidden, filters: As in `make_model`.
        batch_size: Transitions of the fixed random batch.
        tuning: A `Tuning`.

    Returns:
        A function of no arguments that does one whole step, from integer images to the update of
        the weights by Adam, and returns the loss.
    """
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = make_model(env, hidden, filters)
    batch = random_batch(env, batch_size, np.random.default_rng(0))
    if tuning.channels_last:
        model.embedding.to(memory_format=torch.channels_last)
        for name in ("obs", "next_obs"):
            batch[name] = batch[name].contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    generator = torch.Generator().manual_seed(0)
    precision = (
        torch.autocast("cpu", torch.bfloat16) if tuning.autocast else contextlib.nullcontext()
    )

    def step():
        optimizer.zero_grad()
        order = torch.randperm(batch_size, generator=generator)
        with precision:
            loss = model.loss(batch, order, tuning.one_pass)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
