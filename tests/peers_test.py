"""The PyTorch peers of the benchmarks compute what our models compute."""

import numpy as np
import pytest

from sen_tf.layers import GroupConv2D

torch = pytest.importorskip("torch", reason="PyTorch is in benchmarks/requirements.txt")

from benchmarks import peers, torch_models, torch_weights  # noqa: E402

NO_E2CNN = "e2cnn is in benchmarks/requirements.txt"
# e2cnn indexes with bytes.
pytestmark = pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8:UserWarning")


@pytest.fixture
def make_pair():
    """Makes a small peer, our model with its weights, and a batch; skipped without e2cnn."""

    def make(env):
        if env.startswith("reacher"):
            pytest.importorskip("e2cnn", reason=NO_E2CNN)
        batch = torch_models.random_batch(env, 4, np.random.default_rng(1))
        return *peers.make_pair(env, hidden=8, filters=4), batch

    return make


@pytest.mark.parametrize("env", list(peers.HIDDEN))
def test_same_numbers_from_the_same_weights(make_pair, env):
    differences = peers.compare(*make_pair(env))
    assert len(differences) == 9
    peers.check(differences)


def test_other_weights_are_refused(make_pair):
    peer, model, batch = make_pair("shapes")
    with torch.no_grad():
        peer.transition.node[-1].bias += 0.01
    differences = peers.compare(peer, model, batch)
    with pytest.raises(ValueError, match="predicted by .*loss by"):
        peers.check(differences)
    assert differences["state"] < peers.TOLERANCE


def test_negatives_count_in_the_comparison(make_pair):
    peer, *_ = make_pair("shapes")
    states = peers.STATE_SCALE * torch.randn(3, 8, 5, 4, 2, generator=torch.Generator())
    near, far = (peer.contrast(*states, np.roll(np.arange(8), shift)) for shift in (1, 2))
    assert abs(near - far) > 0.01


def test_every_kernel_of_e2cnn_is_one_of_ours():
    """All blocks of the expanded kernel, though only those of the identity are handed over."""
    pytest.importorskip("e2cnn", reason=NO_E2CNN)
    torch.manual_seed(0)
    encoder = torch_models.make_model("reacher", hidden=3, filters=1).encoder
    conv = list(encoder.layers.children())[4]
    expected = conv.expand_parameters()[0].detach().numpy()
    layer = GroupConv2D("D4", 3, 3)
    layer.build((None, 9, 9, 8, 3))
    layer.set_weights(torch_weights.kernel_on_group(conv))
    expanded = layer.expanded_kernel().numpy().reshape(3, 3, 8, 3, 8, 3)
    found = expanded.transpose(5, 4, 3, 2, 0, 1).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)


TUNINGS = [
    torch_models.AS_PUBLISHED,
    torch_models.Tuning(channels_last=True, one_pass=True, autocast=True),
]


@pytest.mark.parametrize("tuning", TUNINGS, ids=str)
@pytest.mark.parametrize("env", ["cubes", "shapes", "reacher", "reacher-65"])
def test_a_step_is_one_of_training(env, tuning):
    if env.startswith("reacher"):
        pytest.importorskip("e2cnn", reason=NO_E2CNN)
    step = torch_models.make_step(env, 8, 4, 2, tuning)
    losses = [step() for _ in range(5)]
    assert losses[-1] < losses[0]
    assert torch.get_num_threads() == torch_models.THREADS


def test_unknown_environments_are_refused():
    with pytest.raises(ValueError, match="`env` must be one of .*reacher, reacher-65, got 'cube'"):
        torch_models.make_model("cube", 8, 4)


def test_the_peer_has_the_published_number_of_parameters():
    """3D Blocks at the published widths: embedding, encoder and transition."""
    peer = torch_models.make_model("cubes", 256, 32)
    counts = [sum(p.numel() for p in part.parameters()) for part in peer.children()]
    assert counts == [21_029, 905_218, 1_060_098]
