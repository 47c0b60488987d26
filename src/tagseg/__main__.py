"""`python -m tagseg`."""

from tagseg.cli import main

main()
