"""Output on the terminal: one console, and one function that escapes foreign text.

File names, labels, error messages and texts of tools come from anywhere. Escape sequences in them are printed as text,
and square brackets are never markup.
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
"""Maximum number of characters of one value within a line."""

# C0 and C1 controls, lone surrogates, and what is invisible or changes the direction of the text after it.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
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
    """Make the standard streams accept every text; characters that their encoding lacks are written in ASCII."""
    codecs.register_error("superlink.ascii", _in_ascii)
    for stream, errors in ((sys.stdout, "superlink.ascii"), (sys.stderr, "superlink.ascii"), (sys.stdin, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def safe(text: object) -> str:
    """Return the text with all characters escaped that control a terminal, except line breaks and tabs."""
    shown = str(text).replace("\r\n", "\n")
    if not shown.isascii():
        from tools.core.errors import readable

        shown = readable(shown)
    return _HARMFUL.sub(lambda found: _escaped(found[0]), shown)


def one_line(text: object) -> str:
    """Return a value for use within a line: escaped, without line breaks, and shortened to `LONGEST`."""
    whole = str(text)
    shown = whole if len(whole) <= LONGEST else f"{whole[:LONGEST]}… ({len(whole) - LONGEST} more characters)"
    return safe(shown).replace("\n", "\\n").replace("\t", "\\t")


def say(text: object, *, error: bool = False) -> None:
    """Print text, escaped, to standard output or standard error."""
    print(safe(text), file=sys.stderr if error else sys.stdout, flush=True)


def say_json(data: object, indent: int | None = None) -> None:
    """Print data as JSON; characters that control a terminal or that the encoding lacks are written as JSON escapes."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    written = json.dumps(data, indent=indent, ensure_ascii=not encoding.lower().startswith("utf"))
    print(_HARMFUL.sub(lambda found: json.dumps(found[0])[1:-1], written), flush=True)


def console(*, error: bool = False) -> "Console":
    """Return a console for standard output or standard error.

    Text is never read as markup: colours are given by `style`, or with `rich.text.Text`. Lines are not wrapped.
    """
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class SafeConsole(Console):
        """Escapes text before layout, and all other renderables after rendering."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(safe(text), **options)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(safe(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process; `superlink.cli` chooses the exit status

    return SafeConsole(stderr=error, markup=False, emoji=False, highlight=False, soft_wrap=True)


def ask(on: "Console", question: str) -> str:
    """Ask on the terminal; return the answer in lower case, or "" at the end of the input."""
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
