"""Trained models in the formats of servers and other programs; see `sen_tf.export.__main__`."""

from sen_tf.export.endpoints import Endpoint, endpoints_of
from sen_tf.export.formats import export_model, for_inference

__all__ = ["Endpoint", "endpoints_of", "export_model", "for_inference"]
