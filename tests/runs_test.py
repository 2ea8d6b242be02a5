"""What a run leaves beside its model; tests/train_test.py looks at whole runs."""

import io

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sen_tf import runs


def test_pictures_show_in_tensorboard(tmp_path):
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 256, (7, 9, 4), np.uint8) for name in ("latents", "rollouts")}
    paths = []
    for name, picture in pictures.items():
        picture[..., 3] = 255  # opaque, as Matplotlib's
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(picture).save(paths[-1])
    runs.log_pictures(tmp_path / "run", paths)
    runs.log_pictures(tmp_path / "run", [paths[1]])  # drawn again: the last one counts
    events = EventAccumulator(str(tmp_path / "run" / "logs" / "figures")).Reload()
    assert sorted(events.Tags()["tensors"]) == ["latents", "rollouts"]
    for name, picture in pictures.items():
        *before, event = events.Tensors(name)
        assert len(before) == (name == "rollouts")
        width, height, png = event.tensor_proto.string_val
        assert (width, height) == (b"9", b"7")
        with Image.open(io.BytesIO(png)) as shown:
            np.testing.assert_array_equal(np.asarray(shown), picture[..., :3])
