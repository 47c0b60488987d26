"""The JSON schema of the configuration, for editors and the workflow catalog."""

from tagseg.config.parsing import schema


def run() -> str:
    """Print the JSON schema of the configuration."""
    return schema().rstrip("\n")
