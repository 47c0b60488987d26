"""Crisp boundary detection: regions whose borders follow object boundaries (Isola et al. 2014)."""

from typing import TYPE_CHECKING, Any

from tagseg.regions.modes import MODES, CrispParameters, Hierarchy, Mode

if TYPE_CHECKING:
    from tagseg.regions.crisp import CrispBoundaries, crisp_boundaries

__all__ = ["MODES", "CrispBoundaries", "CrispParameters", "Hierarchy", "Mode", "crisp_boundaries"]


def __getattr__(name: str) -> Any:
    # loaded on first use: numba takes a second, and the command line needs only the modes
    if name in ("CrispBoundaries", "crisp_boundaries"):
        from tagseg.regions import crisp

        return getattr(crisp, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
