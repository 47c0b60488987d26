"""What a label is: 0 background, 1..N-1 classes, 255 ignored; and its colour."""

import numpy as np

IGNORE = 255


def voc_palette() -> np.ndarray:
    """Colours (256, 3) uint8 of the VOC devkit: the bits of a label spread over the high bits of R, G and B."""
    labels = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((labels >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours
