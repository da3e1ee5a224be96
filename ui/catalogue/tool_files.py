"""A person's Python files with tools: looked at, tried in a process of their own, loaded, kept for the next start."""

import ast
import hashlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from agents.plan.types import AnyTool
from tools.core.errors import DeclarationInvalid
from tools.core.settings import settings, settings_path
from tools.runtime.registry import file_tools
from tools.storage.atomic import write
from ui.catalogue.tools import file_of

_SECONDS = 60
"""Seconds that a file may take to be imported."""
_MOST_BYTES = 1 << 20
_TRIAL = """
import json, sys
from tools.core.errors import SuperlinkError
from tools.runtime.registry import file_tools
try:
    print(json.dumps({"tools": [tool.name for tool in file_tools(sys.argv[1])]}))
except SuperlinkError as error:
    print(json.dumps({"message": error.message, "hint": error.hint}))
"""
_lock = threading.Lock()


@dataclass(frozen=True)
class Draft:
    """A file that a person wants to load; nothing of it has run.

    Attributes:
        name: Its name.
        text: Its content.
        sha256: Of the content; what is loaded must be what was shown.
        imports: Modules that it imports, by its text.
    """

    name: str
    text: str
    sha256: str
    imports: tuple[str, ...]


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
        text = content.decode()
        tree = ast.parse(text)
    except (ValueError, SyntaxError, RecursionError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise DeclarationInvalid(f"{file.name} is no Python that can be read{line}: {what}", "Mend it") from error
    found = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    found += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return Draft(name, text, hashlib.sha256(content).hexdigest(), tuple(sorted(set(found))))


def load(draft: Draft, tools: dict[str, AnyTool], keep: bool = False) -> list[str]:
    """Load the tools of a file into the catalogue, in place of those of the same file that were loaded before.

    The file is imported in a process of its own first, so that one that hangs or crashes does no harm here.

    Args:
        draft: The file as it was shown.
        tools: Tools by name, changed in place.
        keep: Also load it at every start, of the command line, too: it is added to `tools` in settings.toml.

    Returns:
        Names of its tools.

    Raises:
        DeclarationInvalid: when it raises, hangs, crashes, defines no tool, or a name is taken by another tool.
    """
    file = settings().home / "tools" / draft.name
    with _lock:
        before = file.read_bytes() if file.exists() else None
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, draft.text)
        try:
            _check_names(_try(file), tools, file)
            loaded = file_tools(file)
        except BaseException:
            if before is None:
                file.unlink(missing_ok=True)
            else:
                write(file, before)
            raise
        names = [tool.name for tool in loaded]
        for name in [name for name, tool in tools.items() if file_of(tool) == str(file) and name not in names]:
            del tools[name]
        tools.update({tool.name: tool for tool in loaded})
        if keep:
            keep_file(file)
    return names


def forget(file: Path, tools: dict[str, AnyTool]) -> list[str]:
    """Take the tools of a file that was loaded here out of the catalogue, and delete the copy; return their names."""
    with _lock:
        names = [name for name, tool in tools.items() if file_of(tool) == str(file)]
        for name in names:
            del tools[name]
        if file.parent == settings().home / "tools":
            file.unlink(missing_ok=True)
        place = settings_path()
        if place.exists():
            document = tomlkit.parse(place.read_text(encoding="utf-8"))
            files = [str(one) for one in document.get("tools", [])]
            if str(file) in files:
                document["tools"] = [one for one in files if one != str(file)]
                write(place, tomlkit.dumps(document))
                settings.cache_clear()
    return names


def keep_file(file: Path) -> None:
    """Add a file to those that are loaded at every start."""
    place = settings_path()
    document = tomlkit.parse(place.read_text(encoding="utf-8")) if place.exists() else tomlkit.document()
    files = [str(one) for one in document.get("tools", [])]
    if str(file) not in files:
        document["tools"] = [*files, str(file)]
        write(place, tomlkit.dumps(document))
        settings.cache_clear()


def _try(file: Path) -> list[str]:
    """Import a file in another process; return the names of its tools."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL, str(file)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
    except subprocess.TimeoutExpired as error:
        raise DeclarationInvalid(
            f"{file.name} was not imported within {_SECONDS} s", "Move what takes long into the functions"
        ) from error
    lines = done.stdout.strip().splitlines()
    try:
        said = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise DeclarationInvalid(
            f"{file.name} ended the process that imported it (status {done.returncode})", "Mend it; nothing was loaded"
        ) from error
    if "message" in said:
        raise DeclarationInvalid(
            said["message"].replace(str(file), file.name), said["hint"].replace(str(file), file.name)
        )
    return [str(name) for name in said["tools"]]


def _check_names(names: list[str], tools: Mapping[str, AnyTool], file: Path) -> None:
    for name in names:
        if name in tools and file_of(tools[name]) != str(file):
            raise DeclarationInvalid(f"there is a tool {name!r} already", "Rename the function in your file")
