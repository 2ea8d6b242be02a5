"""Equivariant Keras layers. Features carry an explicit group axis before their channels."""

from sen_tf.layers.group_conv import GroupConv2D, LiftingConv2D, ProjectionConv2D
from sen_tf.layers.group_dense import GroupDense
from sen_tf.layers.intertwiners import FromRegular, GroupFlatten, QuadrantLifting, ToRegular
from sen_tf.layers.message_passing import ObjectGraph, OneHotActions
from sen_tf.layers.normalization import FieldBatchNormalization, FieldLayerNormalization
from sen_tf.layers.pooling import GroupPooling, SpatialPooling2D

__all__ = [
    "FieldBatchNormalization",
    "FieldLayerNormalization",
    "FromRegular",
    "GroupConv2D",
    "GroupDense",
    "GroupFlatten",
    "GroupPooling",
    "LiftingConv2D",
    "ObjectGraph",
    "OneHotActions",
    "ProjectionConv2D",
    "QuadrantLifting",
    "SpatialPooling2D",
    "ToRegular",
]
