"""Tasks in our environments, in one of the user's own, and before eyes that see images alone."""

import functools
import types

import gymnasium
import numpy as np
import pytest

import sen_tf
from sen_tf import envs
from sen_tf.experiments import goal_planning, goal_tasks
from sen_tf.experiments.goal_planning import Planner, Planning
from sen_tf.settings import UsageError

make_shapes = functools.partial(envs.make, "shapes")


class Images:
    """Of an environment images, spaces and facts, and nothing that tells its state."""

    def __init__(self, env):
        self._env = env
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.name, self.objects = env.name, env.objects

    def reset(self, seed):
        return self._env.reset(seed=seed)[0], {}

    def step(self, action):
        return (*self._env.step(action)[:-1], {})


class Counter(gymnasium.Env):
    """A world of the user's own: a pixel that counts, from 0 to 5."""

    observation_space = gymnasium.spaces.Box(0, 255, (1, 1, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(6))
        return np.full((1, 1, 1), self.at, np.uint8), {}

    def step(self, action):
        self.at = min(max(self.at + 2 * action - 1, 0), 5)
        return np.full((1, 1, 1), self.at, np.uint8), 0.0, False, False, {}


@pytest.fixture(scope="module")
def planner():
    """Plans for 2D Shapes by a model that saw pushes up alone, from what an `Images` shows."""
    model = sen_tf.from_pretrained("shapes-sen")
    env = Images(make_shapes())
    unseen = [n for n in range(20) if n % 4]
    return Planner(model, env, Planning(width=2), unseen, seed=0)


def test_goals_are_reached_by_moves_never_seen_from_images_alone(planner):
    found = goal_tasks.attempt(planner.policy, make_shapes, 4, 8, seed=3)
    assert found.reached.all() and found.arrived.all() and (found.errors == 0).all()
    assert (found.actions <= 4).all() and found.actions.max() >= 3
    numbers = found.numbers([n for n in range(20) if n % 4])
    assert numbers["success"] == 100 and numbers["success_needing_unseen"] == 100
    assert numbers["tasks_success_needing_unseen"] >= 5
    assert planner.predictions > 0


@pytest.mark.parametrize("kind", ["greedy", "cem", "random"])
def test_every_planner_reaches_what_is_near(planner, kind):
    other = Planner(
        planner.latents.model, planner.env, Planning(planner=kind, width=16), (), seed=0
    )
    found = goal_tasks.attempt(other.policy, make_shapes, 1, 4, seed=3)
    assert found.reached.all()


def test_a_plan_is_made_from_an_image_to_another(planner):
    env = make_shapes()
    start, _ = env.reset(seed=5)
    goal, *_ = env.step(2)
    (plan,) = planner.plan(start[None], goal[None], longest=5)
    assert plan.reaches and plan.actions.tolist() == [2]
    assert goal_planning.words_of(env, plan.actions[0]) == "2 (down, object 1)"
    (nothing,) = planner.plan(start[None], start[None], longest=5)
    assert nothing.reaches and len(nothing.actions) == 0


def test_tasks_are_the_same_for_all_who_try_and_differ_between_distances():
    first, again = (goal_tasks.make_tasks(make_shapes, 3, 4, seed=1) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.goal_state, other.goal_state)
        assert (one.start != one.goal).any() or one.needs.sum() == 0
        assert one.needs.sum() <= 3
    farther = goal_tasks.make_tasks(make_shapes, 4, 4, seed=1)
    assert (farther[0].start_state != first[0].start_state).any()


def test_worlds_that_only_step_are_told_apart_by_their_images():
    tasks = goal_tasks.make_tasks(Counter, 1, 5, seed=0)
    worlds = goal_tasks.Worlds(Counter, tasks)
    assert tasks[0].needs is None and (worlds.errors() == 1).all()
    up = np.array([int(task.goal.item() > task.start.item()) for task in tasks])
    worlds.act(np.arange(5), up)
    assert (worlds.errors() == 0).all() and worlds.tolerance == 0


class Fourth(Counter):
    """A counter whose actions are 4 and 5."""

    action_space = gymnasium.spaces.Discrete(2, start=4)

    def step(self, action):
        assert self.action_space.contains(action), action
        return super().step(action - 4)


def test_actions_count_from_0_where_those_of_a_world_do_not():
    tasks = goal_tasks.make_tasks(Fourth, 1, 5, seed=0)
    worlds = goal_tasks.Worlds(Fourth, tasks)
    up = np.array([int(task.goal.item() > task.start.item()) for task in tasks])
    assert set(up) == {0, 1}
    worlds.act(np.arange(5), up)
    assert (worlds.errors() == 0).all()
    before, after, _ = goal_planning.moves_of(Fourth(), 40, np.random.default_rng(0), unseen=[0])
    assert len(before) and (after.astype(int) - before == 1).all()
    named = type("Named", (Fourth,), {"action_names": {"up": [5]}, "objects": None})()
    assert goal_planning.numbers_of(named, ["up"]) == (1,)
    assert [goal_planning.words_of(named, n) for n in (0, 1)] == ["4 (4)", "5 (up)"]


class Told(Counter):
    """A counter that tells its state, writes over its image, and is near within 1."""

    goal_error, goal_tolerance = "counts", 1
    screen, state = np.zeros((1, 1, 1), np.uint8), np.zeros(1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.show()

    def step(self, action):
        super().step(action)
        image, info = self.show()
        return image, 0.0, False, False, info

    def show(self):
        self.screen[:] = self.state[:] = self.at
        return self.screen, {"state": self.state}

    def goal_errors(self, states, goals):
        return np.abs(states - goals)[:, 0]


class Untold(Told):
    """One with methods on batches of states that it does not tell."""

    def show(self):
        return super().show()[0], {}

    def step_states(self, states, actions):
        raise AssertionError("its states are not known")


def test_errors_are_of_states_where_they_are_told():
    tasks = goal_tasks.make_tasks(Told, 3, 20, seed=0)
    moved = np.abs([task.goal_state - task.start_state for task in tasks])
    assert (moved <= 3).all() and moved.max() == 3
    assert goal_tasks.unit_of(Told()) == "counts"
    worlds = goal_tasks.Worlds(Told, tasks)
    apart = [task.goal.item() - task.start.item() for task in tasks]
    np.testing.assert_array_equal(worlds.errors(), np.abs(apart))
    up = np.array(apart) > 0
    worlds.act(np.arange(20), up.astype(int))
    changed = worlds.images.ravel().astype(int) - [task.start.item() for task in tasks]
    np.testing.assert_array_equal(worlds.errors(), np.abs(apart - changed))
    assert worlds.tolerance == 1


def test_errors_are_of_images_where_no_state_is_told():
    tasks = goal_tasks.make_tasks(Untold, 3, 20, seed=0)
    worlds = goal_tasks.Worlds(Untold, tasks)
    np.testing.assert_array_equal(worlds.errors(), [t.start.item() != t.goal.item() for t in tasks])
    assert worlds.tolerance == 0 and goal_tasks.unit_of(Untold()) == "goals missed"
    worlds.act(np.arange(20), np.ones(20, int))
    before, after, states = goal_planning.moves_of(Untold(), 40, np.random.default_rng(0))
    assert (before != after).all() and set(states) == {None}


def test_a_drawn_plan_ends_where_it_is_nearest():
    planner = Planner.__new__(Planner)
    planner.env, planner.rng, planner.predictions = Dial(), np.random.default_rng(0), 0
    planner.latents = types.SimpleNamespace(step=lambda states, actions: states + 90 * actions)
    planner.places = types.SimpleNamespace(distances=lambda a, b: np.abs(a - b) / 30)
    plan = planner._draw(np.zeros(1), np.full(1, 100.0), 8)
    reached = np.cumsum(90 * plan.actions)
    assert plan.reaches and len(plan.actions) < 8
    assert np.abs(reached - 100).argmin() == len(reached) - 1


class Ending(Counter):
    """A counter whose episode ends at 5, by one flag or the other; nobody may step on."""

    flags = True, False

    def reset(self, *, seed=None, options=None):
        image, info = super().reset(seed=seed)
        self.at, self.ended = min(self.at, 4), False
        return np.full_like(image, self.at), info

    def step(self, action):
        assert not self.ended, "a step after the end"
        image, reward, *_ = super().step(action)
        self.ended = self.at == 5
        return image, reward, *(flag and self.ended for flag in self.flags), {}


class Truncated(Ending):
    flags = False, True


@pytest.mark.parametrize("make_env", [Ending, Truncated])
def test_no_task_goes_on_after_the_end_of_an_episode(make_env):
    """Goals are three moves away, and at the end only where the last of them leads there."""
    tasks = goal_tasks.make_tasks(make_env, 3, 40, seed=0)
    starts, goals = (
        np.array([image.item() for image in images])
        for images in zip(*((task.start, task.goal) for task in tasks), strict=True)
    )
    assert set(np.abs(goals - starts)) == {1, 3} and 5 in goals
    worlds = goal_tasks.Worlds(make_env, tasks[:1])
    for _ in range(8):
        up = worlds.act(np.array([0]), np.array([1]))
    assert up.item() == 5
    assert worlds.act(np.array([0]), np.array([0])).item() == 5


def test_episodes_that_are_too_short_for_a_goal_are_one_sentence():
    class Short(Ending):
        def step(self, action):
            self.at = 4
            return super().step(1)

    assert goal_tasks.make_tasks(Short, 1, 2, seed=0)[0].goal.item() == 5
    with pytest.raises(ValueError, match="`moves` to be as few as an episode of Short lasts.*=2"):
        goal_tasks.make_tasks(Short, 2, 1, seed=0)


def test_an_end_that_changes_nothing_is_no_goal():
    class Frozen(Ending):
        def step(self, action):
            image = np.full((1, 1, 1), self.at, np.uint8)
            return image, 0.0, True, False, {}

    with pytest.raises(ValueError, match="each of 100 episodes ended before"):
        goal_tasks.make_tasks(Frozen, 1, 1, seed=0)


def test_a_world_in_which_nothing_moves_has_no_tasks():
    class Still(Counter):
        def step(self, action):
            return np.full((1, 1, 1), self.at, np.uint8), 0.0, False, False, {}

    with pytest.raises(ValueError, match="100 random actions of Still did not change the image"):
        goal_tasks.make_tasks(Still, 1, 1, seed=0)


def test_anywhere_is_for_boards():
    with pytest.raises(UsageError, match="--moves=uniform is for boards"):
        goal_tasks.distances_of(["1", "uniform"], envs.make("teapot"))


@pytest.mark.parametrize("low, high", [(-2.0, 2.0), (0.0, 3.0), (-2.1, 0.4)])
def test_drawn_actions_fill_the_bounds_of_the_environment(low, high):
    space = gymnasium.spaces.Box(low, high, (2,))
    env = types.SimpleNamespace(action_space=space)
    bounded = types.SimpleNamespace(env=env)
    found = Planner._in_bounds(bounded, np.array([[-1.0, 0.0], [1.0, 0.5]]))
    np.testing.assert_allclose(found[:, 0], [low, high])
    assert all(space.contains(action) for action in found)


@pytest.mark.parametrize("name", ["0", "-1", "far", "1.5"])
def test_distances_are_numbers_or_uniform(name):
    env = make_shapes()
    assert goal_tasks.distances_of([], env)["uniform"] == goal_tasks.UNIFORM
    with pytest.raises(UsageError, match="--moves takes numbers from 1 on and uniform"):
        goal_tasks.distances_of([name], env)


def test_an_image_that_stacks_frames_is_one_frame_at_rest(tmp_path):
    import PIL.Image

    frame = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    PIL.Image.fromarray(frame).save(tmp_path / "frame.png")
    image = goal_planning.read_image(tmp_path / "frame.png", (3, 3, 6))
    np.testing.assert_array_equal(image, np.concatenate([frame, frame], axis=-1))
    grey = goal_planning.read_image(tmp_path / "frame.png", (3, 3, 1))
    assert grey.shape == (3, 3, 1)


class Dial:
    """An angle that a force turns, through 90 degrees where it is 1; images are its last two."""

    name, frames, objects = "dial", 2, None
    goal_tolerance = 10
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step_states(self, states, actions):
        assert np.abs(actions).max() <= 1
        return np.concatenate([states[:, 1:], states[:, 1:] + 90 * actions], axis=1)

    def goal_errors(self, states, goals):
        return np.abs(states[:, 1] - goals[:, 1])


def test_near_enough_is_what_an_error_of_the_tolerance_looks_like():
    states = np.linspace(0, 200, 101)[:, None].repeat(2, axis=1)
    latents = 0.3 * states[:, :1]
    assert goal_planning.tolerated(Dial(), states, latents) == pytest.approx(0.3 * 10, rel=0.11)
    with pytest.raises(UsageError, match="of 2 states of dial no two are near"):
        goal_planning.tolerated(Dial(), states[[0, -1]], latents[[0, -1]])


@pytest.mark.slow
def test_half_a_move_is_near_enough_where_moves_are_few():
    model = sen_tf.from_pretrained("teapot-sen")
    small = Planner(model, envs.make("teapot", rotations="small"), Planning(), seed=0)
    large = Planner(model, envs.make("teapot"), Planning(), seed=0)
    assert small.places.unit == pytest.approx(
        large.places.unit / 2, rel=0.15
    )  # a turn is 12 degrees


def test_a_goal_stands_still(make_reacher):
    make_reacher(size=17, workers=1)  # or skips
    images = np.arange(2 * 6).reshape(2, 1, 1, 6)
    still = goal_tasks.at_rest(images, Dial())
    np.testing.assert_array_equal(still[0, 0, 0], [3, 4, 5, 3, 4, 5])
    np.testing.assert_array_equal(goal_tasks.at_rest(images, make_shapes()), images)
    reacher = functools.partial(envs.make, "reacher", size=17)
    (task,) = goal_tasks.make_tasks(reacher, 1, 1, seed=0)
    np.testing.assert_array_equal(task.goal[..., :3], task.goal[..., 3:])
    assert (task.start[..., :3] != task.start[..., 3:]).any()


def test_the_simulator_reaches_what_can_be_reached():
    def task(goal):
        states = np.zeros(2), np.full(2, float(goal))
        return goal_tasks.Task(0, None, None, *states, None)

    errors = goal_planning.simulated_errors(Dial(), [task(100), task(-170), task(900)], 4, 3)
    assert (errors[:2] <= 10).all()
    assert errors[2] == pytest.approx(900 - 4 * 90, abs=5)  # too far for four actions
