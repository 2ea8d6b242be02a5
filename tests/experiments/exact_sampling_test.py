import pytest

from sen_tf.experiments import exact_sampling
from sen_tf.experiments.exact_sampling import ExactSampling
from sen_tf.settings import UsageError

EXACT = {
    "naive": set(),
    "orbit-of-samples": set(),
    "orbit-of-noise": {"d4_ball", "d4_box", "d8_ball"},
    "orbit-of-noise-coordinates": {"d4_ball", "d4_box"},
    "orbit-of-noise-full": {"d4_ball", "d4_box", "d8_ball"},
    "orbit-of-noise-cholesky": set(),
}


@pytest.mark.parametrize("arm", exact_sampling.ARMS)
def test_plans_commute_where_they_should_and_visibly_not_elsewhere(arm):
    found = exact_sampling.run(arm, (ExactSampling(starts=2),), 0, None)
    assert {name for name, error in found.items() if error < 1e-10} == EXACT[arm]
    assert all(error > 0.05 for name, error in found.items() if name not in EXACT[arm])


def test_as_many_are_drawn_by_all_arms():
    with pytest.raises(UsageError, match="a multiple of 16, as D8 has elements, not 24"):
        exact_sampling.run("naive", (ExactSampling(samples=24),), 0, None)
