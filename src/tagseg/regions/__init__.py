"""Crisp boundary detection and regions whose borders are object borders."""

from tagseg.regions.crisp import MODES, CrispBoundaries, CrispParameters, Mode, crisp_boundaries

__all__ = ["MODES", "CrispBoundaries", "CrispParameters", "Mode", "crisp_boundaries"]
