"""The command line."""

from tagseg.cli.app import app, main

__all__ = ["app", "main"]
