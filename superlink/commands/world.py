"""``superlink world``: rendered pictures with exact annotations."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.commands.options import whole
from superlink.terminal import one_line, say

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("world", help="draw pictures of the rendered world, with their truth in COCO's format")
    parser.add_argument("--n", type=whole(1), default=20, metavar="N", help="how many (default: 20)")
    parser.add_argument("--seed", type=whole(0), default=0, help="the first seed; the same seed gives the same picture")
    parser.add_argument("--split", default="test", help="train, val, test (default), compositions or shifted")
    parser.add_argument("--size", type=whole(1), default=512, metavar="PIXELS", help="height and width (default: 512)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where images/ and annotations.json go")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="all of them on one picture, with masks, boxes and joints drawn over"
    )
    parser.set_defaults(command=world)


def world(given: argparse.Namespace) -> int:
    """Write the pictures and their annotations."""
    from agents.worlds import write_world

    path = write_world(given.n, given.seed, given.split, given.size, given.out, given.sheet)
    if path:
        say(f"{given.n} pictures in {one_line(given.out / 'images')}, their truth in {one_line(path)}")
        say("To find things in them offline: SUPERLINK_WEIGHTS=world superlink run ...")
    if given.sheet:
        say(f"{given.n} pictures with their truth drawn over them in {one_line(given.sheet)}")
    return 0
