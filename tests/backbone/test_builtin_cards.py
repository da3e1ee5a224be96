"""The cards that the planner was trained on are those of the tools as they are."""

from backbone.planner.builtin_cards import BUILTIN_CARDS
from backbone.planner.cards import parameters
from backbone.planner.layout import BUILTIN_TOOLS
from tools.runtime.registry import load


def test_trained_cards_are_the_live_ones() -> None:
    live = {name: tool.card() for name, tool in load(entry_points=False).items() if tool.planned}
    assert tuple(BUILTIN_CARDS) == BUILTIN_TOOLS == tuple(live)
    for name, trained in BUILTIN_CARDS.items():
        assert parameters(trained) == parameters(live[name]), name
        assert trained["one_of"] == live[name]["one_of"]
        assert trained["returns"] == live[name]["returns"]
        for each, given in trained["inputs"].items():
            assert set(given["kinds"]) == set(live[name]["inputs"][each]["kinds"]), (name, each)
