"""Environments. Importing this package registers them with Gymnasium.

An environment is a `gymnasium.Env` that also works on batches of states: `sample_states`,
`step_states`, `render_states`, and knows its symmetry: `transform(states, g)`,
`transform_action(actions, g)`. Its class states what else is known of it, the `FACTS`. One of the
user's own, as `load` finds it, may have `reset` and `step` alone, and leave most facts unsaid.

It may have

- `sample_actions(rng, n)`, where actions are not just numbers or a box;
- `warm_up_steps`, steps of a behaviour policy between a state of `sample_states` and an episode;
- `positions(states)`, rows and columns of what is seen, by which figures colour their dots:
  (n, objects, 2), or (n, 2) without objects;
- `hard_negatives(states, count)`, `traversal(states, axis)` and `traversal_action(axis)` about each
  of its `traversal_axes`, by which near states are told apart.

Example:
    >>> env = make("shapes", sprites="symmetric")
    >>> states = env.sample_states(np.random.default_rng(0), 100)
    >>> images = env.render_states(env.step_states(states, np.zeros(100, int)))
"""

import difflib
import importlib
import os
import re
import sys
from typing import Any, TypeAlias

import gymnasium

from sen_tf.envs import block_pushing, maze, own, point_mass, reacher, rush_hour, teapot

FACTS = {
    "name": "as in `--env=<name>`",
    "version": "raised whenever images or dynamics change: episodes of another one are refused",
    "group": "the symmetry, of `sen_tf.groups`",
    "objects": "how many objects an image shows, each with states of its own; None for a whole",
    "frames": "how many successive frames an image stacks",
    "action_representation": "how the group acts on an action, or on that of one object, in the "
    "words of `groups.representations`; None where it is no such sum",
    "action_names": "named sets of actions: numbers that `step` takes, or the two corners of a box",
    "start_names": "names of what first states may be limited to, `sample_states(..., starts=)`, "
    "and which never changes in an episode",
    "arguments": "arguments of the constructor that are flags: name to its help and its choices",
}
"""The facts that the class of an environment states; `own.NOTHING_SPECIAL` is what a class of the
user's own may leave unsaid."""

EnvLike: TypeAlias = Any
"""An environment, as the head of this module describes them.

It is `Any`, for `gymnasium.Env` declares neither the methods on batches nor the facts.
"""

ENVS: dict[str, type[EnvLike]] = {}
"""The environments by name: classes."""

PLACES: dict[str, str] = {}
"""Those of the user's own by name: where their classes are, as "package.module:Class"."""


def register(env: type[EnvLike], place: str | None = None) -> type[EnvLike]:
    """Makes an environment known by its `name`, here and to Gymnasium; returns its class.

    Args:
        env: A class of environments that states all `FACTS`.
        place: The place of the class that `env` completes; None if it is complete where it is.

    Raises:
        ValueError: For a fact that is not stated, or a name, its own or of an argument, that is
            taken.
    """
    missing = [fact for fact in FACTS if not hasattr(env, fact)]
    if missing:
        raise ValueError(f"Expected `{env.__name__}` to state {missing[0]!r}: {FACTS[missing[0]]}")
    if ENVS.get(env.name) is env:
        return env
    if not re.fullmatch(r"\w[\w.-]*", env.name):  # names of files and of Gymnasium's environments
        raise ValueError(
            f"Expected `name` of letters, digits and underscores; received {env.name!r}"
        )
    if env.name in ENVS:
        raise ValueError(f"Expected a new name; received {env.name!r}, which another class has")
    for other in ENVS.values():
        if shared := set(other.arguments) & set(env.arguments):
            raise ValueError(
                f"Expected new names of arguments, which become flags; received {min(shared)!r}, "
                f"which {other.name!r} has"
            )
    ENVS[env.name] = env
    identifier = gym_id(env.name)
    entry, arguments = f"{env.__module__}:{env.__qualname__}", {}
    if place is not None:
        PLACES[env.name] = place
        entry, arguments = f"{__name__}:{make_loaded.__name__}", {"place": place}
    if issubclass(env, gymnasium.Env):
        gymnasium.register(identifier, entry_point=entry, kwargs=arguments)
    return env


def load(place: str) -> type[EnvLike]:
    """Registers the class that "package.module:Class" names, of the user's own code; returns it.

    What the class does not state is nothing special; see `own.completed`.

    Raises:
        ValueError: As `find`, `register` and `own.completed`.
    """
    env = find(place)
    name = getattr(env, "name", env.__name__.lower())
    known = ENVS.get(name)
    if known and issubclass(known, env):
        return known
    # Made anew since, as by a notebook's cell that is run again; or known by episodes alone.
    if PLACES.get(name) == place or not hasattr(known, "step"):
        ENVS.pop(name, None)
        gymnasium.registry.pop(gym_id(name), None)
    return register(own.completed(env), place)


def make_loaded(place: str, **arguments: Any) -> EnvLike:
    """An environment of the class that `load` returns; Gymnasium makes those of the user's own so.

    Another process can do it too, which is told no more than the words in `gymnasium.spec`.
    """
    return load(place)(**arguments)


def find(place: str) -> type[EnvLike]:
    """The class that "package.module:Class" names; modules in the current folder are found too.

    Raises:
        ValueError: If there is no such module or class.
    """
    module, _, name = place.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        env = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"Expected an environment's class as package.module:Class; received {place!r}: {error}"
        ) from error
    if not isinstance(env, type):
        raise ValueError(
            f"Expected {place!r} to name a class; received {env!r}. A function that wraps an "
            "environment becomes one as a subclass of gymnasium.Wrapper."
        )
    return env


def gym_id(name: str) -> str:
    """The name of an environment for `gymnasium.make`, such as `sen_tf/RushHour-v0`."""
    return f"sen_tf/{name.title().replace('_', '')}-v0"


def make(name: str, **kwargs: Any) -> EnvLike:
    """Returns the environment called `name`, made with `kwargs`.

    Raises:
        ValueError: for an unknown name; it lists the names and the nearest match.
    """
    if name not in ENVS:
        nearest = difflib.get_close_matches(str(name), ENVS, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"Expected `name` to be one of {', '.join(ENVS)}; received name={name!r}.{hint}"
        )
    return ENVS[name](**kwargs)


for _env in (
    block_pushing.Shapes,
    block_pushing.Cubes,
    rush_hour.RushHour,
    reacher.Reacher,
    teapot.Teapot,
):
    register(_env)
# Agents act in these, and observe vectors: no world model of images is trained on them.
for _class, _longest in ((maze.Maze, maze.LONGEST), (point_mass.PointMass, point_mass.LONGEST)):
    gymnasium.register(
        gym_id(_class.name),
        entry_point=f"{_class.__module__}:{_class.__qualname__}",
        max_episode_steps=_longest,
    )

__all__ = [
    "ENVS",
    "FACTS",
    "PLACES",
    "EnvLike",
    "find",
    "gym_id",
    "load",
    "make",
    "make_loaded",
    "register",
]
