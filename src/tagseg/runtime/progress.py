"""Log how fast work went."""

import logging
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
