"""A person's Python files with tools: looked at, tried in a process of their own, loaded, kept for the next start."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agents.plan.types import AnyTool
from tools.core.errors import DeclarationInvalid
from tools.core.settings import expand_path, settings
from tools.runtime.registry import file_of, file_tools
from tools.storage.atomic import write
from tools.storage.toml import edit_settings
from ui.context import Context

_SECONDS = 60
"""Seconds that a file may take to be imported."""
_MOST_BYTES = 1 << 20
_TRIAL = """
import json, os, sys
from tools.core.errors import SuperlinkError
from tools.runtime.registry import file_of, file_tools
try:
    said = {"tools": [tool.name for tool in file_tools(sys.argv[1])]}
except SuperlinkError as error:
    said = {"message": error.message, "hint": error.hint, "traceback": getattr(error, "traceback", "")}
with open(sys.argv[2], "w", encoding="utf-8") as answer:
    json.dump(said, answer)
os._exit(0)
"""
_lock = threading.Lock()


@dataclass(frozen=True)
class Draft:
    """A file that a person wants to load; nothing of it has run.

    Attributes:
        name: Its name.
        text: Its content.
        imports: Modules that it imports, by its text.
        replaces: Whether a file of this name was loaded before, whose place it takes.
    """

    name: str
    text: str
    imports: tuple[str, ...]
    replaces: bool


def look_at(file: Path) -> Draft:
    """Read a file without running it.

    Raises:
        DeclarationInvalid: when it is no Python file that can be read.
    """
    name = re.sub(r"[^\w.-]", "_", file.name)
    if file.suffix != ".py":
        raise DeclarationInvalid(f"{file.name} is no Python file", "Its name must end in .py")
    content = file.read_bytes()
    if len(content) > _MOST_BYTES:
        raise DeclarationInvalid(f"{file.name} has {len(content)} bytes", f"A file of tools has {_MOST_BYTES} at most")
    try:
        text = content.decode("utf-8-sig")
        tree = ast.parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise DeclarationInvalid(f"{file.name} is no Python that can be read{line}: {what}", "Mend it") from error
    found = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return Draft(name, text, tuple(sorted(set(found))), _copy(name).exists())


def load(draft: Draft, context: Context, keep: bool = False, seconds: float = _SECONDS) -> list[str]:
    """Load the tools of a file into the catalogue, in place of those of the same file that were loaded before.

    The file is imported in a process of its own first, so that one that hangs or crashes does no harm here.

    Args:
        draft: The file as it was shown.
        context: Its tools are replaced by others.
        keep: Also load it at every start, of the command line, too: it is added to `tools` in settings.toml.
        seconds: How long the import may take.

    Returns:
        Names of its tools.

    Raises:
        DeclarationInvalid: when it raises, hangs, crashes, defines no tool, or a name is taken by another tool.
        SettingsInvalid: when it is to be kept and settings.toml cannot be read. Nothing is changed in any case.
    """
    file = _copy(draft.name)
    with _lock:
        before = file.read_bytes() if file.exists() else None
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, draft.text)
        try:
            _check_names(_try(file, seconds), context.tools, file)
            loaded = file_tools(file)
            if keep:
                keep_file(file)
        except BaseException:
            if before is None:
                file.unlink(missing_ok=True)
            else:
                write(file, before)
            raise
        others = {name: tool for name, tool in context.tools.items() if file_of(tool) != str(file)}
        context.tools = {**others, **{tool.name: tool for tool in loaded}}
    return [tool.name for tool in loaded]


def forget(file: Path, context: Context) -> list[str]:
    """Take the tools of a person's file out of the catalogue, and return their names.

    A copy that was loaded here is deleted; the file is no longer loaded at every start.

    Raises:
        SettingsInvalid: when settings.toml cannot be read; nothing is changed.
    """
    with _lock:
        _change_kept(lambda files: [one for one in files if expand_path(one).absolute() != file])
        if file == _copy(file.name):
            file.unlink(missing_ok=True)
        names = [name for name, tool in context.tools.items() if file_of(tool) == str(file)]
        context.tools = {name: tool for name, tool in context.tools.items() if name not in names}
    return names


def keep_file(file: Path) -> None:
    """Add a file to those that are loaded at every start.

    Raises:
        SettingsInvalid: when settings.toml cannot be read.
    """
    _change_kept(lambda files: files if str(file) in files else [*files, str(file)])


def _copy(name: str) -> Path:
    """Return where the file of a name is kept once it is loaded."""
    return settings().home / "tools" / name


def _change_kept(change: Callable[[list[str]], list[str]]) -> None:
    """Change `tools` in settings.toml, and leave its other lines as they are."""
    with edit_settings() as document:
        said = document.get("tools", [])
        files = said.split(os.pathsep) if isinstance(said, str) else [str(one) for one in said]
        if (changed := change(files)) != files:
            document["tools"] = changed


def _try(file: Path, seconds: float) -> list[str]:
    """Import a file in another process; return the names of its tools."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer")
        # What the file prints is not mixed with the answer, and no process that it leaves behind is waited for.
        child = subprocess.Popen(
            [sys.executable, "-c", _TRIAL, str(file), str(answer)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise DeclarationInvalid(
                f"{file.name} was not imported within {seconds:g} s", "Move what takes long into the functions"
            ) from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if not answer.exists():
            raise DeclarationInvalid(
                f"{file.name} ended the process that imported it (status {status})", "Mend it; nothing was loaded"
            )
        said = json.loads(answer.read_text(encoding="utf-8"))
    if "message" in said:
        raise DeclarationInvalid(
            *(said[part].replace(str(file), file.name) for part in ("message", "hint", "traceback"))
        )
    return [str(name) for name in said["tools"]]


def _check_names(names: list[str], tools: Mapping[str, AnyTool], file: Path) -> None:
    for name in names:
        if name in tools and file_of(tools[name]) != str(file):
            raise DeclarationInvalid(f"there is a tool {name!r} already", "Rename the function in your file")
