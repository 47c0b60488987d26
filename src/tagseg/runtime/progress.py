"""Log how fast work went, and what it took."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def log_rate(unit: str, count: int) -> Iterator[None]:
    """Log the time that the block took for `count` items of `unit`, and the items per second."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    log.info("%d %s in %.1f s, %.2f a second", count, unit, seconds, count / max(seconds, 1e-9))


def log_usage() -> None:
    """Log the core-seconds that this process has taken, its start included, and its peak memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)  # MB, of bytes or of kilobytes
    log.info("%.1f core-seconds, %.0f MB of memory", used.ru_utime + used.ru_stime, peak)
