"""Dense CRF with Gaussian pairwise terms and optional higher-order terms over regions (Sec. 3.1.3, Eqs. 6-8)."""

from tagseg.crf.dense import CrfParameters, dense_crf
from tagseg.crf.unary import softmax_unary

__all__ = ["CrfParameters", "dense_crf", "softmax_unary"]
