"""Names as people type them: one spelling of each, whatever program they come from."""

import re
import unicodedata

# Characters that are invisible: zero-width spaces, byte order marks, soft hyphens, marks of text direction.
_UNSEEN = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_HIDDEN = re.compile(f"[{_UNSEEN}]")
_ENDS = re.compile(rf"^[\s{_UNSEEN}]+|[\s{_UNSEEN}]+$")
# Joiners belong to words of some scripts and to composed emoji; next to a Latin letter they are strays.
_STRAY_JOINER = re.compile("(?<![\u0600-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\U0010ffff])")
_BLANKS = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’", "«": "»", "»": "«", "`": "`"}


def nfc(name: str) -> str:
    """A name in NFC: macOS writes accents as separate characters, tables do not."""
    return unicodedata.normalize("NFC", name)


def plain(name: str) -> str:
    """One spelling of a name: NFC, without hidden characters, single common spaces, none at its ends.

    An accented letter is one character or two, depending on the program; a space from a web page may be a non-breaking
    one. Line breaks and tabs within the name stay: they belong to no name, and are reported.
    """
    if name.isascii() and "  " not in name:
        return name.strip()
    shown = _STRAY_JOINER.sub("", _HIDDEN.sub("", nfc(name)))
    return _BLANKS.sub(" ", shown).strip()


def trimmed(name: str) -> str:
    """A name without spaces and hidden characters at its ends; a file's name may have them inside."""
    return _ENDS.sub("", name)


def unquoted(name: str) -> str:
    """A name without the quotes around it, if there are any."""
    while len(name) > 2 and _QUOTES.get(name[0]) == name[-1]:
        name = name[1:-1].strip()
    return name


def printable(name: str) -> bool:
    """Whether a name has no line break or other control character. Joiners within a word are allowed."""
    return name.replace("\u200c", "").replace("\u200d", "").isprintable()
