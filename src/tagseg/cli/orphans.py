"""A stage ends with the Snakemake that started it."""

import os
import select
import signal
import threading

from tagseg.errors import TagsegError

VARIABLE = "TAGSEG_MASTER"  # set by the workflow: the process that started the stage's shell


def end_with_master() -> None:
    """End this process, as a kill would, as soon as the process that the environment names has ended.

    A Snakemake that is killed leaves its jobs at work. The next one would start the same jobs, while theirs still write
    files that it has planned with. Without the variable, by hand, or where processes cannot be watched (macOS), nothing
    is done.
    """
    name = os.environ.get(VARIABLE)
    if name is None or not hasattr(os, "pidfd_open"):
        return
    try:
        master = os.pidfd_open(int(name))
    except ValueError:
        raise TagsegError(f"{VARIABLE}={name}: not the number of a process; unset it") from None
    except ProcessLookupError:
        _end()
    else:
        threading.Thread(target=_wait, args=(master,), name="orphans", daemon=True).start()


def _wait(master: int) -> None:
    watch = select.poll()
    watch.register(master, select.POLLIN)
    watch.poll()
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
