"""tagseg: from image tags to pixel labels."""

from importlib.metadata import version

__version__ = version("tagseg")
