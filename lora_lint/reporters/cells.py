"""Text in columns: how wide it is, cut and padded to a width, and counts that fit."""

from unicodedata import east_asian_width


def thousands(count: int, noun: str) -> str:
    """A number with its noun, thousands apart."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def short(count: int) -> str:
    """A count in five characters: 99999, 100k, 1.2M."""
    if count < 100_000:
        return str(count)
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def percent(share: float) -> str:
    """A share in whole percents; 0 and 100 only where it is all or nothing."""
    percent = round(100 * share)
    if share not in (0, 1):
        percent = min(max(percent, 1), 99)
    return f"{percent}%"


def cells(text: str) -> int:
    return len(text) if text.isascii() else sum(1 + (east_asian_width(char) in "WF") for char in text)


def padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def clip(text: str, width: int, cut: str, *, middle: bool = False) -> str:
    """No more of a text than fits, with a mark where something is missing."""
    if cells(text) <= width:
        return text
    keep = width - 1
    head = keep // 2 if middle else keep
    first = _fitting(text, head)
    last = _fitting(text[::-1], keep - head)[::-1] if middle else ""
    return f"{first}{cut}{last}"


def _fitting(text: str, width: int) -> str:
    taken = 0
    for at, char in enumerate(text):
        taken += cells(char)
        if taken > width:
            return text[:at]
    return text
