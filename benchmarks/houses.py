"""Requests in the words of houses, which nothing but an example can teach.

    python benchmarks/houses.py [--sample HOUSE]

writes ``house_requests.jsonl`` from the hand-written pieces in ``house_pieces.toml``; the same pieces give the same
file. ``--sample`` prints the requests of one house instead.

An office says "give it the Friday treatment" and means segment and fill, or "the fleet" and means car, truck and bus.
Each of 33 houses has three ways to treat a thing, three names for labels and two phrases for the whole file; a third of
them call tools of their own by nicknames (``house_tools.py``). A line is a request with its plan. The parts of a house:

pool: 32 demonstrations. Each treatment and phrase is shown three times, each name twice, in several wordings; eleven
are what any house may say.
anchor: 16 requests, on which a choice of demonstrations is trained.
test: 14 requests. Five join a treatment and a name, which no demonstration shows together.

No request is in two parts, and the parts share no wording (but for the words of the house).
"""

import argparse
import json
import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

ROOT = Path(__file__).parent
FILE = ROOT / "house_requests.jsonl"
PIECES = ROOT / "house_pieces.toml"

Part = Literal["pool", "anchor", "test"]
Kind = Literal["treatment", "name", "phrase", "both", "ordinary"]
SIZES: dict[Part, dict[Kind, int]] = {
    "pool": {"treatment": 9, "name": 6, "phrase": 6, "ordinary": 11},
    "anchor": {"treatment": 4, "name": 4, "phrase": 2, "both": 6},
    "test": {"treatment": 4, "name": 3, "phrase": 2, "both": 5},
}
"""Requests of each kind in a house. Each kind goes through the house's conventions in turn."""

FIRST: dict[Part, int] = {"pool": 0, "anchor": 0, "test": 4}
"""Where each part begins to go through them, so that three of five pairs in a test are in no anchor."""

ARTICLE = "the "


class HouseRow(TypedDict):
    """A line of the file.

    Attributes:
        id: of house, part and number.
        house: name of the house.
        part: see the module.
        kind: what it takes to understand it; "both" is a treatment of what a name stands for.
        tools: the house's own tools, which are offered beside the built-in ones.
        request: in words.
        media: kinds of value at hand, in lower case.
        plans: all right ones, as in ``requests.jsonl``; a demonstration shows the first.
    """

    id: str
    house: str
    part: Part
    kind: Kind
    tools: list[str]
    request: str
    media: list[str]
    plans: list[list[tuple[str, dict[str, object]]]]


class _Asked(NamedTuple):
    """A request before it is framed: phrase or treatment, what it is done to, plans, kind of value at hand."""

    phrase: str
    of: str
    plans: Sequence[str]
    labels: Sequence[str]
    media: str = "image"


def read(path: Path = FILE) -> list[HouseRow]:
    """Read the requests."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def plan(written: str, labels: Sequence[str]) -> list[tuple[str, dict[str, object]]]:
    """Read a plan as the pieces write it: ``segment labels={x}; redact how=fill``.

    Args:
        written: the plan.
        labels: what {x} stands for.
    """
    calls = []
    for call in written.split("; "):
        name, *_ = call.split(" ")
        args: dict[str, object] = {}
        for key, text, word in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', call):
            if key == "labels":
                args[key] = list(labels) if word == "{x}" else [word]
            else:
                args[key] = int(word) if word.isdecimal() else text or word
        calls.append((name, args))
    return calls


class _House:
    """Draws the requests of one house."""

    def __init__(self, pieces: Mapping[str, Any], number: int, rng: random.Random) -> None:
        self.house, self.rng = pieces["house"][number], rng
        self.frames, self.ordinary = pieces["frames"], pieces["ordinary"]
        self.number = number
        self.asked: set[str] = set()

    def rows(self) -> Iterator[HouseRow]:
        """Draw all parts."""
        for part, sizes in SIZES.items():
            drawn = [(kind, number) for kind, size in sizes.items() for number in range(size)]
            if part == "pool":
                self.rng.shuffle(drawn)
            for place, (kind, number) in enumerate(drawn):
                yield self._row(part, place, kind, FIRST[part] + number)

    def _row(self, part: Part, place: int, kind: Kind, number: int) -> HouseRow:
        while True:
            asked = self._draw(kind, number)
            request = self._framed(asked, part)
            if request.lower() not in self.asked:
                break
        self.asked.add(request.lower())
        return {
            "id": f"{self.number:02}-{part}-{place:02}",
            "house": self.house["name"],
            "part": part,
            "kind": kind,
            "tools": self.house.get("tools", []),
            "request": request,
            "media": [asked.media],
            "plans": [plan(written, asked.labels) for written in asked.plans],
        }

    def _draw(self, kind: Kind, number: int) -> _Asked:
        rng, house = self.rng, self.house
        treatments = house["verbs"] + house["nouns"]
        thing = rng.choice(house["things"])
        name, *labels = house["aliases"][number % len(house["aliases"])]
        phrase, written, *_ = treatments[number % len(treatments)]
        match kind:
            case "treatment":
                return _Asked(phrase, ARTICLE + thing, [written], [thing])
            case "both":
                # Each round pairs the treatments with other names than the round before.
                name, *labels = house["aliases"][(number + number // len(treatments)) % len(house["aliases"])]
                return _Asked(phrase, name, [written], labels)
            case "name":
                usual, *plans = rng.choice(self.ordinary["verbs"] + self.ordinary["many"])
                return _Asked(usual, name, plans, labels)
            case "phrase":
                said, written, *media = house["fixed"][number % len(house["fixed"])]
                return _Asked(said, "", [written], [], *(kind_of.lower() for kind_of in media))
            case "ordinary":
                usual, *plans = rng.choice(self.ordinary["verbs"] + self.ordinary["fixed"])
                return _Asked(usual, ARTICLE + thing, plans, [thing])

    def _framed(self, asked: _Asked, part: Part) -> str:
        nouns = [phrase for phrase, _ in self.house["nouns"]]
        if asked.phrase in nouns:
            said = self.rng.choice(self.frames["treatment"][part])
        else:
            said = self.rng.choice(self.frames["phrase"][part])
        return str(said.format(p=asked.phrase.replace("{x}", asked.of), n=asked.phrase, x=asked.of))


def generate() -> list[HouseRow]:
    """Draw the requests of all houses."""
    pieces = tomllib.loads(PIECES.read_text())
    return [
        row
        for number, house in enumerate(pieces["house"])
        for row in _House(pieces, number, random.Random(house["name"])).rows()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", help="print the requests of this house")
    given = parser.parse_args()
    rows = generate()
    if given.sample:
        for row in rows:
            if row["house"] == given.sample:
                print(f"{row['id']:<14} {row['kind']:<10} {row['request']:<60} {row['plans'][0]}")
        return
    FILE.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    print(f"{len(rows)} requests of {len({row['house'] for row in rows})} houses in {FILE}")


if __name__ == "__main__":
    main()
