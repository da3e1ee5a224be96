"""The registry of tools: built-in ones, those of installed packages, and those of the user's files."""

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Iterable
from importlib import import_module, util
from importlib.metadata import entry_points as installed_entry_points
from pathlib import Path

from tools.core.errors import DeclarationInvalid, SuperlinkError
from tools.core.faults import Fault, stops_the_program
from tools.core.settings import expand_path, settings
from tools.runtime.tool import AnyTool, Tool

BUILTIN = (
    "tools.detect:detect",
    "tools.segment:segment",
    "tools.pose:pose",
    "tools.track:track",
    "tools.count:count",
    "tools.pick:pick",
    "tools.crop:crop",
    "tools.redact:redact",
    "tools.remove:remove",
    "tools.edit:edit",
    "tools.generate:generate",
    "tools.read_text:read_text",
    "tools.caption:caption",
    "tools.ask:ask",
    "tools.transcribe:transcribe",
    "tools.speak:speak",
    "tools.keep:keep",
)
"""Every built-in tool, in the order of the catalogue."""

FILE_MODULE = "superlink_tools_"
"""Prefix of the module names of tools files; a hash of path and content follows."""

GROUP = "superlink.tools"
"""Entry point group of installed packages with tools."""


def load(files: Iterable[str | Path] = (), entry_points: bool | None = None) -> dict[str, AnyTool]:
    """Return all tools by name: built-in, of installed packages, of the settings' files, of `files`.

    Args:
        files: Python files; every tool defined in one is loaded.
        entry_points: Whether to load tools of installed packages; by default the setting of this name.

    Raises:
        DeclarationInvalid: when a file or package cannot be loaded, or two tools have one name; names them.
    """
    found: dict[str, AnyTool] = {}
    origin: dict[str, str] = {}

    def add(tool: AnyTool, where: str) -> None:
        if tool.name in found and found[tool.name] is not tool:
            raise DeclarationInvalid(
                f"The tool {tool.name!r} of {where} has the name of a tool of {origin[tool.name]}", "Rename one of them"
            )
        found[tool.name], origin[tool.name] = tool, where

    for spec in BUILTIN:
        add(_member(spec), "superlink")
    if settings().entry_points if entry_points is None else entry_points:
        for point in installed_entry_points(group=GROUP):
            where = f"package {point.dist.name if point.dist else '?'}"
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    loaded = point.load()
            except BaseException as error:
                if isinstance(error, SuperlinkError) or stops_the_program(error):
                    raise
                raise DeclarationInvalid(
                    f"The {where}: its tool {point.value} cannot be loaded: {Fault.of(error, '').what}",
                    "Mend or uninstall the package",
                ) from error
            if not isinstance(loaded, Tool):
                raise DeclarationInvalid(f"The {where}: {point.value} is no tool", "Decorate the function with @tool")
            with contextlib.suppress(OSError, TypeError):  # an extension module has no source to hash
                _with_source(loaded, Path(inspect.getsourcefile(loaded.fn) or "").read_bytes())
            add(loaded, where)
    for file in dict.fromkeys(Path(name) for name in (*settings().tools, *files)):
        for tool in file_tools(file):
            add(tool, str(file))
    return found


def file_tools(file: Path) -> list[AnyTool]:
    """Return the tools that a Python file defines, in their order in the file.

    Raises:
        DeclarationInvalid: when the file does not exist, raises an exception, or defines no tool.
    """
    file = expand_path(file).absolute()
    if not file.is_file():
        raise DeclarationInvalid(f"There is no tools file {file}", "Check the path")
    try:
        source = file.read_bytes()
    except OSError as error:
        raise DeclarationInvalid(f"{file} cannot be read: {error.strerror}", "Check its permissions") from error
    # The name contains a hash of the content, so that a long-running process such as superlink serve-flows loads a
    # changed file again.
    mark = hashlib.sha256(bytes(file) + bytes(1) + source).hexdigest()
    name = f"{FILE_MODULE}{mark[:12]}"
    module = sys.modules.get(name)
    if module is None:
        spec = util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise DeclarationInvalid(f"{file} is not a Python file", "Its name must end in .py")
        module = util.module_from_spec(spec)
        sys.modules[name] = module  # before its code runs, so that its types can be resolved
        try:
            # Its prints must not be mixed with our standard output, which may be JSON.
            with contextlib.redirect_stdout(sys.stderr):
                exec(compile(source, file, "exec"), vars(module))  # the bytes that were hashed, not a cached file
        except BaseException as error:
            sys.modules.pop(name, None)
            if isinstance(error, SuperlinkError) or stops_the_program(error):
                raise
            fault = Fault.of(error, str(file))
            raise DeclarationInvalid(
                f"{file} cannot be loaded: {fault.what}",
                f"It was raised in {fault.where}" if fault.where else "",
                fault.traceback,
            ) from error
    tools = [value for value in vars(module).values() if isinstance(value, Tool) and value.fn.__module__ == name]
    if not tools:
        raise DeclarationInvalid(f"{file} defines no tool", "Decorate a typed function with @tool")
    for tool in tools:
        _with_source(tool, source)
    return tools


def file_of(tool: AnyTool) -> str:
    """Return the path of the user's file that defines a tool; "" for any other tool."""
    module = tool.fn.__module__
    return str(getattr(sys.modules.get(module), "__file__", "")) if module.startswith(FILE_MODULE) else ""


def _with_source(tool: AnyTool, source: bytes) -> None:
    """Add a hash of the source to a tool's version, so that cached results of other code are not used."""
    declared, _, _ = tool.version.partition("+")
    tool.version = f"{declared}+{hashlib.sha256(source).hexdigest()[:12]}"


def _member(spec: str) -> AnyTool:
    module, _, name = spec.partition(":")
    tool: AnyTool = getattr(import_module(module), name)
    return tool
