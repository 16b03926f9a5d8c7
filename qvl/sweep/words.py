"""Numbers, times and texts of strangers as a reader likes them."""

from __future__ import annotations

__all__ = ["tell_duration", "tell_number", "tell_speed", "visible"]

_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"}
_VISIBLE |= {0x7F: "\u2421"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")
_VISIBLE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")  # half a pair, which no terminal takes
_VISIBLE |= dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F], "\ufffd")


def visible(text: str, *, one_line: bool = False) -> str:
    """Make control characters visible, also those that turn the direction of text and those of a terminal.

    Args:
        text: Text of any origin.
        one_line: Replaces line breaks and tabs as well.
    """
    text = text.translate(_VISIBLE)
    return " ".join(text.split()) if one_line else text


def tell_number(value: float | None) -> str:
    """Return a score with 4 decimals, a very small or large one with an exponent, - for None."""
    if value is None:
        return "-"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.2e}"


def tell_duration(seconds: float | None) -> str:
    """Return `12.3 s`, `5 min 03 s` or `2 h 05 min`, - for None."""
    if seconds is None:
        return "-"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def tell_speed(steps_per_second: float | None) -> str:
    """Return `2.50 /s`, or the time of a step for a slow training (`4.0 s each`), - for None."""
    if steps_per_second is None or steps_per_second <= 0:
        return "-"
    return f"{steps_per_second:.2f} /s" if steps_per_second >= 0.5 else f"{tell_duration(1 / steps_per_second)} each"
