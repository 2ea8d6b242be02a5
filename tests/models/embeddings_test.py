"""Embeddings of objects on boards: features on a group of which the embedding knows a part."""

import pytest

from sen_tf.groups import actions, fields
from sen_tf.models import embeddings
from sen_tf.testing import assert_equivariant, randomize_weights


@pytest.mark.parametrize(
    ("group", "declared"),
    [
        *(("C1", "D4"), ("C2", "C4"), ("C4", "C4"), ("D4", "D4")),
        *(("C4", "D4"), ("C2", "D4"), ("D1", "D4"), ("D2", "D4"), ("C2", "D2")),
    ],
)
def test_features_on_a_larger_group_commute_with_the_smaller_one(group, declared):
    shape = (20, 20, 3)
    embedding = embeddings.cell_embedding(group, shape, 2, filters=3, declared=declared)
    randomize_weights(embedding)
    elements = fields.subgroup(group, declared)

    def act_on_image(images, group, g):
        return actions.rotate_grid(images, group, g, axes=(1, 2))

    def act_on_features(features, group, g):
        return actions.act_on_regular_image(features, declared, elements[g])

    assert_equivariant(embedding, (2, *shape), group, act_on_image, act_on_features)


def test_no_larger_group_is_taken_for_a_part():
    with pytest.raises(ValueError, match="`group` to be a subgroup of C4; received group=D4"):
        embeddings.cell_embedding("D4", (20, 20, 3), 2, declared="C4")
