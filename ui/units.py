"""Quantities in words, as the page says them."""


def byte_size(count: float) -> str:
    """Return bytes in words: "820 B", "41 kB", "3.2 MB"."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 1e3:.0f} kB" if count >= 1000 else f"{count:.0f} B"
