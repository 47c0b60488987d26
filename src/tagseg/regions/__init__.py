"""Crisp boundary detection and regions whose borders are object borders."""

from typing import TYPE_CHECKING, Any

from tagseg.regions.parameters import MODES, CrispParameters, Hierarchy, Mode

if TYPE_CHECKING:
    from tagseg.regions.crisp import CrispBoundaries, crisp_boundaries

__all__ = ["MODES", "CrispBoundaries", "CrispParameters", "Hierarchy", "Mode", "crisp_boundaries"]


def __getattr__(name: str) -> Any:
    # numba and higra take a second to load; who only asks for the modes, as the command line does, need not wait
    if name in ("CrispBoundaries", "crisp_boundaries"):
        from tagseg.regions import crisp

        return getattr(crisp, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
