"""`python -m tagseg`."""

from tagseg.cli.app import main

main()
