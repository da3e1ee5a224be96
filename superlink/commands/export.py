"""``superlink export``: data sets from the ledger of a run, without running anything."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from superlink.terminal import one_line, say

if TYPE_CHECKING:
    from superlink.commands.options import Commands


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = commands.add_parser("export", help="write what a run found as a data set, without running anything")
    parser.add_argument("run", type=Path, metavar="DIR", help="the folder that superlink annotate wrote to")
    parser.add_argument(
        "formats",
        nargs="+",
        metavar="FORMAT",
        help="coco, yolo, voc, label-studio, jsonl, parquet, srt, vtt, mirror or report",
    )
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="where the formats' folders go (default: DIR)")
    parser.add_argument("--step", action="append", default=[], metavar="ID", help="whose results; may be repeated")
    parser.set_defaults(command=export)


def export(given: argparse.Namespace) -> int:
    """Write each format into a folder of its name; return 1 when items had to be left out."""
    from flows.exports import export as write
    from flows.ledger.ledger import Ledger
    from tools.core.settings import settings
    from tools.storage.store import Store

    ledger = Ledger.open_existing(given.run)
    try:
        store = Store(ledger.text("store") or settings().store_url)
        for name in given.formats:
            folder = (given.to or given.run) / name
            counts = write(ledger, store, name, folder, given.step, aside=_report_backup)
            say(f"{one_line(folder)}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
        damaged = ledger.reopened_items().values()
        for name, reason, hint in damaged:
            say(f"{one_line(name)} is left out: {reason}. {hint}", error=True)
    finally:
        ledger.close()
    return 1 if damaged else 0


def _report_backup(file: Path) -> None:
    say(f"{one_line(file)}: kept; the export has a file of the same name")
