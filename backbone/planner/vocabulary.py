"""The core's tokens as byte strings, and the classes of tokens that texts and numbers are made of."""

import codecs
import re

import numpy as np

from backbone.planner.layout import Layout


class Vocabulary:
    """Byte strings of the core's tokens, and the classes of tokens that texts and numbers are made of.

    Masks are (V,) booleans over all ids, those of the added tokens included.

    Attributes:
        bytes: byte string of each token; empty for special tokens and control characters, which are never allowed.
        whole: mask of the tokens that are complete UTF-8.
        opening: mask of the tokens that end within a UTF-8 character.
        partial: ids of all tokens that are not complete UTF-8.
        spaced: mask of the tokens that begin with a space.
        blank: mask of the tokens that are spaces only.
        numeric: ids of the tokens made of digits, minus, point and space.
    """

    def __init__(self, layout: Layout) -> None:
        tokenizer = layout.tokenizer
        special = set(tokenizer.get_added_tokens_decoder())
        to_byte = {char: byte for byte, char in byte_alphabet().items()}
        size = layout.first + layout.added
        self.bytes: list[bytes] = []
        self.whole, self.opening, self.spaced, self.blank = (np.zeros(size, dtype=bool) for _ in range(4))
        self.partial: list[int] = []
        self.numeric: list[int] = []
        for i in range(layout.first):
            token = tokenizer.id_to_token(i) or ""
            raw = bytes(to_byte.get(c, 0) for c in token) if i not in special else b""
            if any(b < 0x20 or b == 0x7F for b in raw):
                raw = b""
            self.bytes.append(raw)
            state = utf8_state(raw)
            self.whole[i] = bool(raw) and state == "whole"
            self.opening[i] = state == "open"
            self.spaced[i] = raw.startswith(b" ")
            self.blank[i] = bool(raw) and not raw.strip()
            if raw and state != "whole":
                self.partial.append(i)
            if raw and re.fullmatch(rb"[ \-.\d]+", raw):
                self.numeric.append(i)


def utf8_state(raw: bytes) -> str:
    """State of a byte string as UTF-8: ``whole``, ``open`` (ends within a character) or ``broken``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(raw)
    except UnicodeDecodeError:
        return "broken"
    tail = decoder.getstate()[0]
    # The decoder reports the start of a surrogate as incomplete, but no byte can complete it.
    return "broken" if tail[:1] == b"\xed" and tail[1:2] >= b"\xa0" else "open" if tail else "whole"


def byte_alphabet() -> dict[int, str]:
    """The character that represents each byte in byte-level BPE vocabularies (GPT-2's table)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {b: chr(b) for b in shown}
    hidden = (b for b in range(256) if b not in table)
    return table | {b: chr(256 + n) for n, b in enumerate(hidden)}
