"""Masks in two values, black and white: what white is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Foreground:
    """Of a mask in two values: pixels of `value` are of class `label`, pixels of 0 are background.

    Label 0: nothing tells the class. Then the mask may not have such a pixel.
    """

    value: int
    label: int

    def __str__(self) -> str:
        return f"{self.value}:{self.label}"

    @classmethod
    def parse(cls, text: str) -> "Foreground":
        """What `str` made. Raises ValueError for anything else."""
        value, label = text.split(":")
        return cls(int(value), int(label))
