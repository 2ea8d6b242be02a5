"""Environments of the user's own: what their class leaves unsaid, and images where it has none."""

import contextlib
import hashlib
import inspect
import pathlib
import sys
from typing import Any

import gymnasium
import numpy as np

from sen_tf import groups

IMAGE_SIDE = 64
"""Pixels of the longer side to which what `render` draws, for people's eyes, is shrunk."""

NOTHING_SPECIAL: dict[str, Any] = {
    "group": groups.get("C1"),
    "objects": None,
    "frames": 1,
    "action_names": {},
    "start_names": (),
    "arguments": {},
}
"""Facts that a class need not state: no symmetry, one image as a whole, nothing that has names."""


def completed(env: type[Any]) -> type[Any]:
    """A class of environments that states all facts and observes images; `env` itself if it does.

    The name of one that states none is that of the class in small letters. The version is a
    checksum of the files that the class and those that it is made of are in, so that data made
    before a change of them is refused.

    Args:
        env: A class whose constructor needs no arguments and that has `reset` and `step`, or the
            batch methods; or neither, if it states facts of a dataset.

    Raises:
        ValueError: If it states a group that is not finite, or not how it acts on actions, or has
            no images.
    """
    facts = {name: value for name, value in NOTHING_SPECIAL.items() if not hasattr(env, name)}
    group = getattr(env, "group", NOTHING_SPECIAL["group"])
    if not isinstance(group, groups.FiniteGroup):
        raise ValueError(
            f"Expected `{env.__name__}` to state a finite group, as groups.get('C4') is, or none; "
            f"received group={group!r}"
        )
    if not hasattr(env, "action_representation"):
        if group.order > 1:
            raise ValueError(
                f"Expected `{env.__name__}` to state 'action_representation', since it states a "
                "group: how that acts on an action, or on that of one object, such as "
                "'permutation(3,0,1,2)' for moves up, right, down, left, or '2 trivial'"
            )
        facts["action_representation"] = None
    facts |= {} if hasattr(env, "name") else {"name": env.__name__.lower()}
    facts |= {} if hasattr(env, "version") else {"version": _version(env)}
    draws = issubclass(env, gymnasium.Env) and not _observes_images(env)
    parents = (RenderedImages, env) if draws else (env,)
    made = type(env.__name__, parents, facts) if facts or draws else env
    if draws:
        made()  # or says now that there is nothing to be seen
    return made


def as_taken(env: gymnasium.Env, action: Any) -> Any:
    """An action as `step` of an environment takes it; elsewhere actions are numbered from 0.

    That of `gymnasium.spaces.Discrete(3, start=-1)` takes -1, 0 and 1.
    """
    space = env.action_space
    return int(action + space.start) if isinstance(space, gymnasium.spaces.Discrete) else action


def named(env: Any, name: str) -> list[int]:
    """The numbers from 0 of the actions with a name, which states them as `step` takes them.

    Raises:
        ValueError: If there are no such actions in a space that is Discrete.
    """
    space, stated = env.action_space, np.ravel(env.action_names[name]).tolist()
    if not all(number in range(space.start, space.start + space.n) for number in stated):
        raise ValueError(
            f"Expected `action_names` to hold actions of {space}; received {name!r}: {stated}."
        )
    return [int(number - space.start) for number in stated]


def _version(env):
    others = {*sys.stdlib_module_names, "gymnasium", "sen_tf"}  # which differ between machines
    texts = [_text(each) for each in env.__mro__ if each.__module__.split(".")[0] not in others]
    text = b"".join(dict.fromkeys(texts))
    return int(hashlib.sha256(text).hexdigest()[:8], 16) if text else 1


def _text(kind):
    """The file that a class is in; of one that was typed into a notebook, its methods."""
    with contextlib.suppress(OSError, TypeError):
        return pathlib.Path(inspect.getfile(kind)).read_bytes()
    try:
        methods = [value for value in vars(kind).values() if inspect.isfunction(value)]
        return "".join(map(inspect.getsource, methods)).encode()
    except OSError:  # typed into Python itself, which keeps no text
        return b""


def _observes_images(env):
    try:
        space = env().observation_space
    except TypeError as error:
        raise ValueError(
            f"Expected `{env.__name__}` to be made without arguments; received {error}"
        ) from error
    image = isinstance(space, gymnasium.spaces.Box) and space.dtype == np.uint8
    return image and len(space.shape) == 3


class RenderedImages:
    """Observations that are what `render` draws: put before a class of environments.

    Its constructor must take `render_mode="rgb_array"`. Images are shrunk to `IMAGE_SIDE`.
    """

    def __init__(self, **arguments: Any) -> None:
        try:
            super().__init__(render_mode="rgb_array", **arguments)
            super().reset()  # without a seed, which would be that of all episodes to come
            shape = self._image().shape
        except (TypeError, AttributeError, NotImplementedError) as error:
            raise ValueError(
                f"Expected `{type(self).__name__}` to observe images, uint8 (rows, columns, "
                "channels), or to draw them by `render`, made with render_mode='rgb_array'; "
                f"received {error}"
            ) from error
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        _, info = super().reset(seed=seed, options=options)
        return self._image(), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        _, *rest = super().step(action)
        return self._image(), *rest

    def _image(self):
        image = np.asarray(super().render())
        if image.dtype != np.uint8 or image.ndim != 3:
            raise TypeError(f"what `render` returns: {image.dtype} of shape {image.shape}")
        scale = IMAGE_SIDE / max(image.shape[:2])
        if scale >= 1:
            return image
        from PIL import Image

        size = [max(1, round(scale * length)) for length in image.shape[1::-1]]
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
