"""How fast work went, for the logs."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def rate(unit: str, count: int) -> Iterator[None]:
    """Log how many of `unit` the block handled, in what time."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    log.info("%d %s in %.1f s, %.2f a second", count, unit, seconds, count / max(seconds, 1e-9))
