"""End a stage when the Snakemake process that started it ends."""

import os
import select
import signal
import threading

from tagseg.errors import TagsegError

VARIABLE = "TAGSEG_MASTER"  # set by the workflow: the id of the process that started the stage's shell


def end_with_master() -> None:
    """Kill this process as soon as the one that the environment variable names has ended.

    A Snakemake that is killed leaves its jobs running. The next one would start the same jobs while these still write
    files that it has planned with. Nothing is done without the variable, as in a run by hand, or where processes cannot
    be watched (macOS). Raises TagsegError if the variable is not the id of a process.
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
