"""The one exception whose text is meant for the person at the keyboard."""


class TagsegError(Exception):
    """Bad input, a missing file, an unsuitable machine. One line: what it is, what is wrong, how to mend it.

    The command line prints it without a traceback and exits with status 2.
    """
