"""Data for Lever-LM as a flow that can be stopped at any time: sequences of examples grown for each anchor of a bank.

    python -m flows.lever BANK.jsonl --out GROWN.jsonl [--tools FILE.py]

The first line of the file says what the others depend on: hashes of bank and planner, seed and sizes. Each further line
is what was grown for one anchor, flushed to disk before the next begins. The same command goes on where it was stopped,
and the file is byte for byte that of a run without a stop.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from agents.lever import Anchors
from agents.plan.types import AnyTool
from flows.ledger.rows import compact_json
from tools.core.errors import ArgumentsInvalid, SuperlinkError
from tools.runtime.registry import file_tools, load
from tools.storage.atomic import write_error

Progress = Callable[[int, int], None]
"""Called with the number of anchors that are done, and of all."""


def grow_file(
    bank: Path, out: Path, tools: Mapping[str, AnyTool], seed: int = 7, on_progress: Progress = lambda done, of: None
) -> None:
    """Grow sequences for every anchor of a bank that is not in the file yet.

    Args:
        bank: JSONL; see `backbone.lever.data`.
        out: the file; one that was begun with the same bank, planner and seed is gone on with.
        tools: name to tool, of all that the examples call.
        seed: of the candidates.
        on_progress: called at the beginning and after each anchor.

    Raises:
        ArgumentsInvalid: the bank is none, or the file is of another bank, planner or seed, or is being written.
        WeightsMissing: the language core is not on this computer.
        WriteError: the file cannot be written.
    """
    anchors = Anchors(bank, tools, seed)
    settings = compact_json(anchors.settings())
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(out.with_name(out.name + ".lock"), timeout=0), out.open("a+b") as file:
            file.seek(0)
            done = _done(file.read(), settings, out)
            file.truncate(sum(len(line) + 1 for line in done))
            if not done:
                _append(file.fileno(), settings)
            every = list(anchors)
            begun = max(len(done) - 1, 0)
            on_progress(begun, len(every))
            for number, line in enumerate(anchors.grown(every[begun:]), begun + 1):
                _append(file.fileno(), compact_json(line))
                on_progress(number, len(every))
    except Timeout as error:
        raise ArgumentsInvalid("lever", [f"another process writes {out}; wait for it"]) from error
    except OSError as error:
        raise write_error(error, out) from error


def _done(content: bytes, settings: str, out: Path) -> list[bytes]:
    """The whole lines of a file: one that a killed process left half written is not among them."""
    lines = content.split(b"\n")[:-1]
    if lines and lines[0].decode(errors="replace") != settings:
        raise ArgumentsInvalid("lever", [f"{out} is of another bank, planner or seed; name another file"])
    return lines


def _append(file: int, line: str) -> None:
    os.write(file, line.encode() + b"\n")
    os.fsync(file)


def main() -> None:
    """Read the command line and grow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tools", type=Path, action="append", default=[], help="a file with further tools")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    try:
        tools = {**load(entry_points=False), **{tool.name: tool for file in given.tools for tool in file_tools(file)}}
        grow_file(
            given.bank, given.out, tools, given.seed, lambda done, of: print(f"{done} of {of} anchors", flush=True)
        )
    except SuperlinkError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
