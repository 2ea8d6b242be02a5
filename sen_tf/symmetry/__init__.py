"""The symmetry of Keras models: which layer keeps, approximates or breaks it, and why."""

from sen_tf.symmetry.callbacks import EquivarianceError
from sen_tf.symmetry.explanation import explain
from sen_tf.symmetry.report import LayerRecord, Report

__all__ = ["EquivarianceError", "LayerRecord", "Report", "explain"]
