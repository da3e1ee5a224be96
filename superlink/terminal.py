"""What reaches the terminal: one console, and one way to make foreign text harmless there.

File names, labels, error texts and the words of tools come from anywhere. Escape sequences in them are shown, not obeyed, and
square brackets are never markup.
"""

import codecs
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 500
"""Characters of one value within a line."""

# C0 and C1 controls, lone surrogates, and what is invisible or changes the direction of the text after it.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_ASCII = {
    "├": "|",
    "└": "`",
    "─": "-",
    "━": "-",
    "╸": "-",
    "╺": "-",
    "←": "<-",
    "→": "->",
    "…": "...",
    "×": "x",
    "–": "-",
    "—": "-",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
}


def prepare() -> None:
    """Make the standard streams take every text, whatever their encoding: what it lacks is written in ASCII."""
    codecs.register_error("superlink.ascii", _in_ascii)
    for stream, errors in ((sys.stdout, "superlink.ascii"), (sys.stderr, "superlink.ascii"), (sys.stdin, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def safe(text: object) -> str:
    """Return the text with everything escaped that a terminal would act on; lines and tabs stay."""
    shown = str(text).replace("\r\n", "\n")
    if not shown.isascii():
        from tools.core.errors import readable

        shown = readable(shown)
    return _HARMFUL.sub(lambda found: _escaped(found[0]), shown)


def one_line(text: object) -> str:
    """Return a value (a name, a label) for use within a line: safe, without line breaks, cut where it is very long."""
    whole = str(text)
    shown = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}… ({len(whole) - LONGEST} more characters)"
    return safe(shown).replace("\n", "\\n").replace("\t", "\\t")


def say(text: object, *, error: bool = False) -> None:
    """Print foreign text as it is but harmless, to standard output or standard error."""
    print(safe(text), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(data: Any, indent: int | None = None) -> None:
    """Print data as JSON that any terminal takes and any parser reads back."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    written = json.dumps(data, indent=indent, ensure_ascii=not encoding.lower().startswith("utf"))
    print(_HARMFUL.sub(lambda found: json.dumps(found[0])[1:-1], written), flush=True)


def console(*, error: bool = False) -> "Console":
    """Return a console for standard output or standard error.

    Texts are printed as they are, never as markup: give colours by `style`, or with `rich.text.Text`. Lines are not wrapped.
    """
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class Harmless(Console):
        """Makes text safe when it is laid out, and whatever else is rendered when it leaves."""

        def render_str(self, text: str, **kwargs: Any) -> Text:
            return super().render_str(safe(text), **kwargs)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(safe(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process; the command line knows better how

    return Harmless(stderr=error, markup=False, emoji=False, highlight=False, soft_wrap=True)


def ask(on: "Console", question: str) -> str:
    """Ask a person on the terminal; the answer is in lower case, and empty where the input has ended."""
    try:
        return on.input(f"{question} ", markup=False, emoji=False).strip().lower()
    except EOFError:
        on.print()
        return ""


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(c) or _escaped(c) for c in error.object[error.start : error.end]), error.end
