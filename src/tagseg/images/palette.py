"""Labels of pixels (0 background, 1..N-1 classes, 255 ignored) and their colours."""

import numpy as np

IGNORE = 255


def voc_palette() -> np.ndarray:
    """The VOC devkit's RGB colours (256, 3) uint8 by label: its bits are spread over the high bits of R, G and B."""
    labels = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours
