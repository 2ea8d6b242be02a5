"""Episodes of environments that have `reset` and `step` alone."""

import gymnasium
import numpy as np
import pytest

from sen_tf.datasets import collect, uniform_policy


class Counter(gymnasium.Env):
    """An image of one number, to which the action is added; ends when the number is above 9."""

    observation_space = gymnasium.spaces.Box(0, 255, (2, 2, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(3, start=-1)
    render_mode = None

    def __init__(self, ends=True):
        self.ends = ends

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.number = int(self.np_random.integers(1, 8))
        return self.image(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.number = abs(self.number + action)
        return self.image(), 0.0, self.ends and self.number > 9, False, {}

    def image(self):
        return np.full((2, 2, 1), self.number, np.uint8)


def gather(**arguments):
    blocks = list(collect(Counter(), **arguments))
    return [np.concatenate([getattr(b, n) for b in blocks]) for n in ("observations", "actions")]


def test_actions_lead_from_frame_to_frame():
    frames, actions = gather(episodes=70, steps=6, seed=3)
    assert frames.shape == (70, 7, 2, 2, 1) and actions.dtype == np.int64
    numbers = frames[..., 0, 0, 0].astype(int)
    np.testing.assert_array_equal(numbers[:, 1:], abs(numbers[:, :-1] + actions - 1))
    assert set(actions.ravel()) == {0, 1, 2} and numbers[:, :-1].max() <= 9


def test_an_episode_depends_on_the_seed_and_its_number_alone():
    frames, actions = gather(episodes=70, steps=6, seed=3)
    again = gather(episodes=5, steps=6, seed=3, first_episode=65)
    np.testing.assert_array_equal(again[0], frames[65:])
    np.testing.assert_array_equal(again[1], actions[65:])
    other, _ = gather(episodes=70, steps=6, seed=4)
    assert not np.array_equal(other, frames)


def test_episodes_that_all_end_too_early_are_an_error_that_says_how_long_they_are():
    class Short(Counter):
        def step(self, action):
            image, reward, _, _, info = super().step(action)
            return image, reward, False, self.number % 2 == 0, info

    with pytest.raises(ValueError, match=r"`steps` to be at most \d+, as .* received steps=500"):
        next(collect(Short(), episodes=1, steps=500, seed=0))


class Drawn(Counter):
    """It observes nothing that is an image; `render` shows it."""

    observation_space = gymnasium.spaces.Discrete(300)

    def __init__(self, render_mode=None):
        super().__init__(ends=False)
        self.render_mode = render_mode

    def render(self):
        return self.image().repeat(3, -1)


def test_what_is_drawn_is_an_image_too():
    (block,) = collect(Drawn("rgb_array"), episodes=3, steps=2, seed=0)
    assert block.observations.shape == (3, 3, 2, 2, 3)
    with pytest.raises(ValueError, match="render_mode='rgb_array'; received .*render_mode=None"):
        next(collect(Drawn(), episodes=3, steps=2, seed=0))


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "within bounds"),
        (gymnasium.spaces.MultiDiscrete([2, 3]), "Discrete or a Box; received MultiDiscrete"),
    ],
)
def test_actions_that_cannot_be_drawn(space, said):
    env = Counter()
    env.action_space = space
    with pytest.raises(ValueError, match=said):
        uniform_policy(env)


def test_vectors_are_actions_too():
    class Pushed(Counter):
        action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

        def step(self, action):
            assert self.action_space.contains(action)
            return self.image(), 0.0, False, False, {}

    (block,) = collect(Pushed(), episodes=3, steps=4, seed=0)
    assert block.actions.shape == (3, 4, 2) and block.actions.dtype == np.float32
    assert np.ptp(block.actions) > 0.5


def test_twins_need_states():
    with pytest.raises(ValueError, match="`step_states` and the other batch methods"):
        collect(Counter(), episodes=1, steps=1, seed=0, twins=True)
