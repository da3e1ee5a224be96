"""``superlink tools``: what can be done."""

import argparse
import json
from typing import Any

from superlink.commands.options import add_tools, load_tools


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("tools", help="list the tools, or show one")
    parser.add_argument("name", nargs="?", help="show this tool with its arguments and examples")
    parser.add_argument("--json", action="store_true", help="print the tools' cards as JSON")
    add_tools(parser)
    parser.set_defaults(command=show)


def show(given: argparse.Namespace) -> int:
    """Print the tools."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from agents.problems import nearest
    from tools.errors import ArgumentsInvalid

    tools = load_tools(given)
    if given.name and given.name not in tools:
        raise ArgumentsInvalid("tools", [f"there is no tool {given.name!r}. {nearest(given.name, tools)}"])
    chosen = [tools[given.name]] if given.name else list(tools.values())
    if given.json:
        print(json.dumps([tool.card() for tool in chosen], indent=2))
        return 0
    console = Console()
    if given.name:
        tool = chosen[0]
        console.print(
            f"[bold]{tool.name}[/]({', '.join([*tool.inputs, *tool.params.model_fields])}) -> {tool.returns.kind}"
        )
        console.print(escape(tool.description))
        for example in tool.examples:
            console.print(f"  [dim]e.g.[/] {escape(example)}")
        return 0
    table = Table("tool", "takes", "gives", "what it does", box=None, header_style="bold")
    for tool in chosen:
        takes = ", ".join(["|".join(i.kinds) for i in tool.inputs.values()] + list(tool.params.model_fields))
        gives = f"{'list of ' * tool.returns.many}{tool.returns.kind}"
        table.add_row(tool.name, takes, gives, escape(tool.doc))
    console.print(table)
    return 0
