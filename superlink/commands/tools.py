"""``superlink tools``: list the tools, or describe one."""

import argparse
from typing import TYPE_CHECKING

from superlink.commands.options import add_tools, load_tools
from superlink.terminal import console, say_json

if TYPE_CHECKING:
    from superlink.commands.options import Commands
    from tools.runtime.tool import AnyTool


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("tools", help="list the tools, or show one")
    parser.add_argument("name", nargs="?", help="show this tool with its arguments and examples")
    parser.add_argument("--json", action="store_true", help="print the tools' cards as JSON")
    add_tools(parser)
    parser.set_defaults(command=show)


def show(given: argparse.Namespace) -> int:
    """Print the tools as a table, one in detail, or their cards as JSON."""
    from rich.table import Table
    from rich.text import Text

    from agents.plan.problems import nearest
    from tools.core.errors import ArgumentsInvalid

    tools = load_tools(given)
    if given.name and given.name not in tools:
        raise ArgumentsInvalid("tools", [f"there is no tool {given.name!r}. {nearest(given.name, tools)}"])
    chosen = [tools[given.name]] if given.name else list(tools.values())
    if given.json:
        say_json([tool.card() for tool in chosen], indent=2)
        return 0
    screen = console()
    if given.name:
        tool = chosen[0]
        takes = ", ".join([*tool.inputs, *tool.params.model_fields])
        screen.print(Text.assemble((tool.name, "bold"), f"({takes}) -> {_gives(tool)}"))
        screen.print(tool.description)
        for example in tool.examples:
            screen.print(Text.assemble("  ", ("e.g.", "dim"), f" {example}"))
        return 0
    table = Table("tool", "takes", "gives", "what it does", box=None, header_style="bold")
    for tool in chosen:
        takes = ", ".join(["|".join(i.kinds) for i in tool.inputs.values()] + list(tool.params.model_fields))
        table.add_row(tool.name, takes, _gives(tool), tool.doc)
    screen.print(table, soft_wrap=False)
    return 0


def _gives(tool: "AnyTool") -> str:
    kinds = tool.inputs[tool.returns.follows].kinds if tool.returns.follows else (tool.returns.kind,)
    return f"{'list of ' * tool.returns.many}{'|'.join(kinds)}"
