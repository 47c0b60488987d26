"""Dense CRF over an image, its energies and, if wanted, its regions."""

from tagseg.crf.dense import CrfParameters, dense_crf
from tagseg.crf.unary import log_unary, softmax_unary

__all__ = ["CrfParameters", "dense_crf", "log_unary", "softmax_unary"]
