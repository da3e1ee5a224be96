"""Share of mutants that the unit tests kill: a table by module, and the diffs of the survivors.

    .venv/bin/pip install -e '.[mutants]'
    .venv/bin/mutmut run --max-children 2    # minutes; [tool.mutmut] in pyproject.toml configures code and tests
    .venv/bin/python benchmarks/mutants.py [MODULE…]

mutmut mutates the bodies of functions and methods, but not those under a decorator (properties, context managers).
A mutant counts as killed when a test fails or runs out of time.
"""

import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

KILLED = {1, 3, 24, 36, 152, 255, -24}
"""Exit codes of a run in which a test failed, or which took too long, as mutmut records them."""
UNTOUCHED = {5, 33}
"""Exit codes that stand for a function that no test calls."""


def main(modules: list[str]) -> None:
    config = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]
    total: Counter[str] = Counter()
    alive: list[tuple[str, str]] = []
    print(f"| {'module':24} | mutants | killed | alive | no test | not run | killed of those run |\n|{' --- |' * 7}")
    for module in modules or config["only_mutate"]:
        codes = json.loads(Path("mutants", f"{module}.meta").read_text())["exit_code_by_key"]
        count: Counter[str] = Counter(
            "not run" if code is None else "killed" if code in KILLED else "no test" if code in UNTOUCHED else "alive"
            for code in codes.values()
        )
        alive += [(module, name) for name, code in codes.items() if code is not None and code not in KILLED]
        total += count
        row(module, count)
    row("all", total)
    if modules:
        show_diffs(alive)


def row(name: str, count: Counter[str]) -> None:
    run = count.total() - count["not run"]
    share = f"{count['killed'] / run:.1%}" if run else ""
    print(
        f"| {name:24} | {count.total()} | {count['killed']} | {count['alive']} | {count['no test']} "
        f"| {count['not run']} | {share} |"
    )


def show_diffs(alive: list[tuple[str, str]]) -> None:
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # type: ignore[import-not-found,unused-ignore]

    for module, name in alive:
        lines = get_diff_for_mutant(name, path=module).splitlines()
        print(
            f"\n{name}",
            *(f"  {line}" for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")),
            sep="\n",
        )


if __name__ == "__main__":
    main(sys.argv[1:])
