"""tagseg: from image tags to pixel labels."""

__version__ = "0.1.0"
