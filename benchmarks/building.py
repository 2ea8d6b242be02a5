"""Building the models, beside e2cnn's Reacher: each in a fresh process, after the imports."""

import functools

from benchmarks import step
from benchmarks.table import Measured, Row
from benchmarks.timing import alternate, once_apart
from sen_tf.experiments import networks

PEER = "Reacher in e2cnn"


def make_ours(env):
    """A function that builds `sen` of an environment at the paper's widths."""
    hidden, filters, _ = step.size(env, "paper")

    def build():
        networks.make_model(env, "sen", hidden, filters)

    return build


def make_e2cnn():
    """A function that builds the networks of Reacher in e2cnn."""
    from benchmarks import torch_models

    hidden, filters, _ = step.size("reacher", "paper")

    def build():
        torch_models.make_model("reacher", hidden, filters)

    return build


def rows(rounds, names=tuple(networks.NETWORKS)):
    theirs, missing = None, ""
    try:
        theirs = Measured.of([once_apart(make_e2cnn).seconds])  # a minute or so: once is enough
    except ImportError as error:
        missing = f"not run: {error}"
    costs = alternate({env: functools.partial(once_apart, make_ours, env) for env in names}, rounds)
    for env in names:
        ours = Measured.of([cost.seconds for cost in costs[env]])
        beside = (PEER, theirs) if env == "reacher" else ("", None)
        yield Row(f"building {env} sen", "s", ours, *beside, most=1.0, note=missing)
