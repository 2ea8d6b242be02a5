"""Equivariant Keras layers.

Features carry an explicit axis before their channels, on which the group acts: functions on a
finite group, or direct sums of irreducible representations of SO(3). `neighbour_list` prepares
clouds of points for them.
"""

from sen_tf.layers.antialiased_activation import AntialiasedActivation
from sen_tf.layers.attention import GroupAttention2D
from sen_tf.layers.circle_conv import CircleConv2D
from sen_tf.layers.depthwise_conv import DepthwiseGroupConv2D
from sen_tf.layers.dropout import FieldDropout
from sen_tf.layers.gram_schmidt import GramSchmidt
from sen_tf.layers.group_conv import GroupConv2D, LiftingConv2D, ProjectionConv2D
from sen_tf.layers.group_dense import GroupDense
from sen_tf.layers.instance_normalization import (
    FieldGroupNormalization,
    FieldInstanceNormalization,
)
from sen_tf.layers.intertwiners import (
    FromRegular,
    GridLifting,
    GroupFlatten,
    ToRegular,
)
from sen_tf.layers.invariant_head import InvariantHead
from sen_tf.layers.irreps_conv import IrrepsConv3D
from sen_tf.layers.irreps_dense import IrrepsDense
from sen_tf.layers.irreps_doors import FromIrreps, ToIrreps
from sen_tf.layers.irreps_normalization import (
    IrrepsBatchNormalization,
    IrrepsLayerNormalization,
)
from sen_tf.layers.message_passing import ObjectGraph, OneHotActions
from sen_tf.layers.neighbours import neighbour_list
from sen_tf.layers.nonlinearities import CircleActivation, GatedActivation, NormActivation
from sen_tf.layers.normalization import FieldBatchNormalization, FieldLayerNormalization
from sen_tf.layers.pooling import (
    GlobalPooling2D,
    GlobalPooling3D,
    GroupPooling,
    SpatialPooling2D,
    SpatialPooling3D,
)
from sen_tf.layers.relaxed import RelaxedGroupConv2D, RelaxedGroupDense, RelaxedLiftingConv2D
from sen_tf.layers.resampling import AntialiasedPooling2D, SpatialUpSampling2D
from sen_tf.layers.tensor_product import TensorFieldConv
from sen_tf.layers.transposed_conv import GroupConvTranspose2D
from sen_tf.layers.voxel_conv import GroupConv3D, LiftingConv3D, ProjectionConv3D

__all__ = [
    "AntialiasedActivation",
    "AntialiasedPooling2D",
    "CircleActivation",
    "CircleConv2D",
    "DepthwiseGroupConv2D",
    "FieldBatchNormalization",
    "FieldDropout",
    "FieldGroupNormalization",
    "FieldLayerNormalization",
    "FromIrreps",
    "FromRegular",
    "GatedActivation",
    "GlobalPooling2D",
    "GlobalPooling3D",
    "GramSchmidt",
    "GridLifting",
    "GroupAttention2D",
    "GroupConv2D",
    "GroupConv3D",
    "GroupConvTranspose2D",
    "GroupDense",
    "GroupFlatten",
    "FieldInstanceNormalization",
    "GroupPooling",
    "InvariantHead",
    "IrrepsBatchNormalization",
    "IrrepsConv3D",
    "IrrepsDense",
    "IrrepsLayerNormalization",
    "LiftingConv2D",
    "LiftingConv3D",
    "NormActivation",
    "ObjectGraph",
    "OneHotActions",
    "ProjectionConv2D",
    "ProjectionConv3D",
    "RelaxedGroupConv2D",
    "RelaxedGroupDense",
    "RelaxedLiftingConv2D",
    "SpatialPooling2D",
    "SpatialPooling3D",
    "SpatialUpSampling2D",
    "TensorFieldConv",
    "ToIrreps",
    "ToRegular",
    "neighbour_list",
]
