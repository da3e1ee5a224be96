"""A walk, token by token: the allowed tokens and the calls."""

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from backbone.planner.grammar import Grammar
from backbone.planner.layout import ABOVE, Layout
from backbone.planner.vocabulary import Vocabulary, byte_alphabet, utf8_state
from backbone.planner.walk import MAX_CALLS, MAX_ITEMS, MAX_TEXT, Walk
from common.card import Card
from tests.backbone.cards import card

BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def byte_level(text: str) -> str:
    """Text as byte-level vocabularies write it, after the tokenizers' own code."""
    return "".join(piece for piece, _ in BYTES.pre_tokenize_str(text))


class Writer:
    """Walks over some cards, written as text."""

    def __init__(self, layout: Layout, vocabulary: Vocabulary, *cards: Card) -> None:
        self.layout, self.grammar = layout, Grammar(layout, vocabulary, cards)

    def ids(self, written: str) -> list[int]:
        """Token ids: "name(" begins a call, ";" closes a value, "," begins the next item, "." ends the plan."""
        marks = {";": [self.layout.sep], ",": [self.layout.item], ".": [self.layout.end]}
        if written.endswith("("):
            return self.layout.head(written[:-1])
        return marks.get(written) or self.layout.text(written)

    def write(self, walk: Walk, *written: str) -> Walk:
        for each in written:
            for token in self.ids(each):
                walk.push(token)
        return walk

    def can(self, walk: Walk, *written: str) -> bool:
        """Whether it may go on like this; it does not."""
        try:
            self.write(walk.fork(), *written)
        except ValueError:
            return False
        return True

    def offered(self, walk: Walk) -> set[str]:
        """Names of the tools that may be called next."""
        return {name for name in self.grammar.cards if self.can(walk, f"{name}(")}


@pytest.fixture
def writer(layout: Layout, vocabulary: Vocabulary) -> Any:
    return lambda *cards: Writer(layout, vocabulary, *cards)


# Values at hand.


def test_the_output_of_a_call_is_an_input_for_the_next_call_only(writer: Any) -> None:
    made = writer(
        card("count_it", "Number", ["Image"], above=["Number"], params={"note": {"type": "string"}}),
        card("say_it", "Audio", ["Number"]),
        card("both_of", "Text", ["Image", "Number"]),
        card("hear_it", "Text", ["Audio"]),
    )
    walk = Walk(made.grammar, ["Image"], typed=True)
    assert made.offered(walk) == {"count_it"} and walk.have == {"Image"}
    made.write(walk, "count_it(")
    assert made.offered(walk) == {"count_it", "say_it", "both_of"}  # once this call is done, there is a number
    assert not made.can(walk, " number=")  # its own is none that it can take
    made.write(walk, " note=", " dear", ";")
    assert not made.can(walk, " number=") and walk.have == {"Image"}
    assert made.offered(walk) == {"count_it", "say_it", "both_of"}
    made.write(walk, "count_it(")
    assert walk.have == {"Image", "Number"} and made.can(walk, " number=", " above", ";")
    made.write(walk, "say_it(")
    assert walk.have == {"Image", "Number"} and made.offered(walk) == {"count_it", "say_it", "both_of", "hear_it"}


def test_an_output_that_follows_an_input(writer: Any) -> None:
    blur: Card = card("blur_it", "Image", ["Image"], follows="image")
    blur["inputs"]["image"]["kinds"] = ["Image", "Video"]
    made = writer(
        blur, card("see_it", needs=["Image"]), card("play_it", needs=["Video"]), card("hear_it", needs=["Audio"])
    )
    for have, kinds in (
        (["Video"], {"blur_it", "play_it"}),
        (["Image"], {"blur_it", "see_it"}),
        (["Video", "Audio"], {"blur_it", "play_it", "hear_it"}),
    ):
        walk = Walk(made.grammar, have, typed=True)
        assert made.offered(made.write(walk, "blur_it(")) == kinds
        assert made.offered(made.write(walk, "blur_it(")) == kinds and walk.have == set(have)


def test_the_first_tool_that_has_its_inputs(writer: Any) -> None:
    made = writer(
        card("dream", "Image"),
        card("hear_it", needs=["Audio"]),
        card("see_it", needs=["Image"]),
        card("look_at", needs=["Image"]),
    )
    assert (
        Walk(made.grammar, ["Image"]).first_feasible_tool() == "see_it"
        and Walk(made.grammar, ["Audio"]).first_feasible_tool() == "hear_it"
    )
    assert Walk(made.grammar, []).first_feasible_tool() == "dream"
    assert Walk(writer(card("hear_it", needs=["Audio"])).grammar, ["Image"]).first_feasible_tool() is None


# Words that an earlier call makes, and words that the request quotes.


def words(name: str, gives: str = "Text") -> Card:
    one = card(name, gives)
    one["inputs"]["text"] = {
        "kinds": ["Text", "Transcript", "Number"],
        "many": False,
        "optional": False,
        "literal": True,
    }
    return one


def test_words_that_an_earlier_call_makes_are_not_written_out(writer: Any) -> None:
    made = writer(
        words("say_it", "Audio"), words("turn_it"), card("hear_it", "Transcript", ["Audio"]), card("count_it")
    )

    def can_write(*calls: str, request: str = "hear it, then say it") -> bool:
        walk = made.write(Walk(made.grammar, ["Audio", "Text"], request=request), *calls)
        return bool(made.can(walk, " text=", " so", ";"))

    assert can_write("say_it(") and can_write("count_it(", "say_it(") and can_write("say_it(", "turn_it(")
    assert not can_write("hear_it(", "say_it(") and not can_write("hear_it(", "count_it(", "turn_it(")
    assert can_write("hear_it(", "say_it(", "say_it(")  # the first of them took the words
    assert not can_write("hear_it(", "turn_it(", "say_it(")  # it took words, and made others
    assert can_write("hear_it(", "say_it(", "turn_it(")


def test_what_the_request_gives_word_for_word_may_be_copied_whole(writer: Any) -> None:
    made = writer(words("say_it", "Audio"), card("hear_it", "Transcript", ["Audio"]))
    for request in ("write it down; say 'Good day. Sit down.'", "write it down and say: Good day. Sit down."):
        walk = made.write(Walk(made.grammar, ["Audio"], request=request), "hear_it(", "say_it(")
        assert made.can(walk, ".") and made.can(walk, " text=", " Good day. Sit down.", ";")
        assert not made.can(walk, " text=", " Good day.", ";") and not made.can(walk, " text=", " something")
        made.write(walk, " text=", " Good day. Sit down.", ";", ".")
        assert walk.calls[1] == {"tool": "say_it", "args": {"text": "Good day. Sit down."}}


def test_a_quotation_that_was_begun_is_not_ended_early(writer: Any) -> None:
    made = writer(words("say_it", "Audio"))
    walk = made.write(Walk(made.grammar, [], request='say "Good day. It\'s late." please'), "say_it(", " text=")
    assert not made.can(walk, " Good", ";") and not made.can(walk, " Good day.", ";")
    assert made.can(walk, " Good day. It's late.", ";") and made.can(walk, " Good dog", ";")
    assert not made.can(walk, ' a sign "Good day.', ";") and made.can(walk, ' a sign "Good day. It\'s late."', ";")


def test_a_quotation_may_be_longer_than_other_texts(writer: Any) -> None:
    long = "ab " * MAX_TEXT + "end"
    made = writer(words("say_it", "Audio"))
    walk = made.write(Walk(made.grammar, [], request=f"say '{long}'"), "say_it(", " text=", f" {long}"[:MAX_TEXT])
    assert np.flatnonzero(walk.allowed()).tolist() == made.layout.text(long[MAX_TEXT - 1])
    made.write(walk, long[MAX_TEXT - 1 :], ";", ".")
    assert walk.calls == [{"tool": "say_it", "args": {"text": long}}]


# Calls that should not be missing.


def test_one_of_some_tools_comes_first(writer: Any) -> None:
    made = writer(card("see_it", needs=["Image"]), card("hear_it", needs=["Audio"]), card("dream"))
    walk = Walk(made.grammar, ["Image"], typed=True, first={"see_it", "hear_it"})
    assert made.offered(walk) == {"see_it"} and not made.can(walk, ".")
    assert made.offered(made.write(walk, "see_it(")) == {"see_it", "dream"} and made.can(walk, ".")
    assert made.offered(Walk(made.grammar, [], typed=True, first={"see_it"})) == {"dream"}


def test_a_missing_call_takes_the_place_of_the_end(writer: Any) -> None:
    made = writer(
        card("see_it", "Detections", ["Image"]),
        card("cut_it", "Image", ["Detections"]),
        card("hear_it", needs=["Audio"]),
    )
    walk = Walk(made.grammar, ["Image"], typed=True, missing=[["cut_it", "hear_it", "unknown"]])
    assert not walk.refuse_end() and made.can(walk, ".")  # none of them has its input
    made.write(walk, "see_it(")
    assert made.can(walk, ".") and walk.refuse_end()
    assert not made.can(walk, ".") and made.offered(walk) == {"cut_it"} and walk.have == {"Image"}
    made.write(walk, "cut_it(")
    assert not walk.refuse_end() and made.offered(walk) == {"see_it", "cut_it"}
    made.write(walk, ".")
    assert [call["tool"] for call in walk.calls] == ["see_it", "cut_it"]


# Forks.


def test_a_fork_is_independent(writer: Any) -> None:
    tags = {"type": "array", "items": {"type": "string"}}
    modes = {"type": "array", "items": {"enum": ["soft", "hard"]}}
    made = writer(
        card("find_it", params={"tags": tags, "modes": modes}),
        card("make_it", "Image"),
        card("see_it", needs=["Image"]),
    )
    begun = ["find_it(", " tags=", " a", ",", " b"]
    left = made.write(Walk(made.grammar, [], typed=True), *begun)
    right = left.fork()
    made.write(left, "x", ",", " c", ";")
    assert right.calls == [{"tool": "find_it", "args": {}}] and right.text == made.ids(" b")
    made.write(right, "y", ";")
    assert left.calls == [{"tool": "find_it", "args": {"tags": ["a", "bx", "c"]}}]
    assert right.calls == [{"tool": "find_it", "args": {"tags": ["a", "by"]}}]
    made.write(left, " modes=", " soft", ",", " ha")
    third = left.fork()
    made.write(third, "rd", ";", "make_it(", "see_it(", ".")
    assert third.done and not left.done and "modes" not in left.calls[0]["args"] and left.have == set()
    assert [call["tool"] for call in third.calls] == ["find_it", "make_it", "see_it"]
    made.write(left, "rd", ";", ".")
    assert left.calls == [{"tool": "find_it", "args": {"tags": ["a", "bx", "c"], "modes": ["soft", "hard"]}}]
    assert third.calls[0] == left.calls[0] and len(left.calls) == 1


# What has to be written.


def test_an_argument_of_one_of_is_written_before_the_call_ends(writer: Any) -> None:
    text = {"type": "string"}
    made = writer(
        card("seek", above=["Poses", "Video"], params={"words": text, "note": text}, one_of=["poses", "video", "words"])
    )
    walk = made.write(Walk(made.grammar, ["Poses"]), "seek(")
    assert not made.can(walk, ".") and not made.can(walk, "seek(") and not made.can(walk, " video=")
    assert not made.can(walk, " note=")  # it comes after the last of the choices
    for first in ([" poses=", " above", ";"], [" words=", " x", ";"]):
        ahead = made.write(walk.fork(), *first)
        assert made.can(ahead, ".") and made.can(ahead, "seek(") and made.can(ahead, " note=")
    assert not made.can(made.write(walk.fork(), " words=", " x", ";"), " poses=")  # the order is the card's
    assert made.write(walk, " poses=", " above", ";", ".").calls == [{"tool": "seek", "args": {"poses": ABOVE}}]


def test_required_arguments_come_first_and_texts_may_come_from_values(writer: Any) -> None:
    number = {"type": "integer"}
    say = card("say_it", "Audio", params={"speed": number, "count": number}, required=["count"])
    say["inputs"] = {"text": {"kinds": ["Text"], "many": False, "optional": False, "literal": True}}
    made = writer(say)
    walk = made.write(Walk(made.grammar, []), "say_it(")
    assert not made.can(walk, ".") and not made.can(walk, " count=") and not made.can(walk, " speed=")
    made.write(walk, " text=", " hi", ";")
    assert not made.can(walk, ".") and not made.can(walk, " speed=") and made.can(walk, " count=", " 3", ";", " speed=")
    given = made.write(Walk(made.grammar, ["Text"]), "say_it(")
    assert made.can(given, " count=", " 3", ";", ".")


def test_the_calls_of_a_plan_are_limited(writer: Any) -> None:
    made = writer(card("dream", "Image"))
    walk = Walk(made.grammar, [])
    assert walk.done is False and walk.forced() is None
    for _ in range(MAX_CALLS):
        made.write(walk, "dream(")
    assert made.offered(walk) == set() and walk.allowed() == [made.layout.end] and walk.forced() == made.layout.end
    made.write(walk, ".")
    assert walk.done is True and walk.allowed() == [] and walk.forced() is None and len(walk.calls) == MAX_CALLS


# Values.


def test_numbers_have_their_type(writer: Any) -> None:
    params = {
        "width": {"type": "integer"},
        "scale": {"type": "number"},
        "sizes": {"type": "array", "items": {"type": "integer"}},
    }
    made = writer(card("fit_it", params=params))
    walk = made.write(Walk(made.grammar, []), "fit_it(", " width=")
    for wrong in (["1"], [" x"], [" ", ";"], [" -", ";"], [" --1"], [" 1.5"], [" 1 2"], [" " + "1" * 13], [" 1", ","]):
        assert not made.can(walk, *wrong), wrong
    made.write(walk, " " + "1" * 12, ";", " scale=")
    for wrong in ([" .5"], [" 1.", ";"], [" 1.2.3"], [" 1." + "1" * 7], [" 1e5"]):
        assert not made.can(walk, *wrong), wrong
    for right in ([" -1.5", ";"], [" 1." + "1" * 6, ";"], [" 0", ";"]):
        assert made.can(walk, *right), right
    made.write(walk, " 2", ";", " sizes=", " 3", ",", " -4", ";", ".")
    args = walk.calls[0]["args"]
    assert args == {"width": 111111111111, "scale": 2.0, "sizes": [3, -4]}
    assert type(args["width"]) is int and type(args["scale"]) is float and type(args["sizes"][0]) is int


def test_booleans_and_choices_are_the_allowed_ones(writer: Any) -> None:
    soft = {"enum": ["soft", "sharp"]}
    made = writer(
        card("fit_it", params={"keep": {"type": "boolean"}, "how": soft, "all": {"type": "array", "items": soft}})
    )
    walk = made.write(Walk(made.grammar, []), "fit_it(", " keep=")
    assert not made.can(walk, " True") and not made.can(walk, " yes") and not made.can(walk, " true", ",")
    assert walk.text is None and not walk.in_list
    assert made.write(walk.fork(), " false", ";", ".").calls == [{"tool": "fit_it", "args": {"keep": False}}]
    made.write(walk, " true", ";", " how=")
    assert not made.can(walk, " soft", ",")
    made.write(walk, " soft", ";", " all=")
    assert walk.in_list
    for _ in range(MAX_ITEMS - 1):
        made.write(walk, " sharp", ",")
    assert not made.can(walk, " soft", ",")
    made.write(walk, " soft", ";", ".")
    assert (
        walk.calls == [{"tool": "fit_it", "args": {"keep": True, "how": "soft", "all": ["sharp"] * 15 + ["soft"]}}]
        and MAX_ITEMS == 16
    )


def test_a_text_is_closed_when_it_is_whole(writer: Any) -> None:
    made = writer(
        card("say_it", params={"text": {"type": "string"}, "texts": {"type": "array", "items": {"type": "string"}}})
    )
    walk = made.write(Walk(made.grammar, []), "say_it(", " text=")
    assert walk.text == [] and not walk.in_list and walk.forced() is None
    assert (
        not made.can(walk, "a")
        and not made.can(walk, " ", ";")
        and not made.can(walk, ";")
        and not made.can(walk, " a", ",")
    )
    made.write(walk, " ")
    half, rest = made.ids("é")
    walk.push(half)
    assert not made.can(walk, ";") and not made.can(walk, "a")
    with pytest.raises(ValueError, match="cannot follow"):
        walk.fork().push(half)
    walk.push(rest)
    assert made.can(walk, ";") and walk.text == [*made.ids(" "), half, rest]
    made.write(walk, ";", " texts=")
    assert walk.in_list and made.can(walk, " a", ",", " b", ";", ".") and walk.calls[0]["args"] == {"text": "é"}


def test_the_tokens_of_a_text_are_limited(writer: Any) -> None:
    made = writer(card("say_it", params={"text": {"type": "string"}}))
    walk = made.write(Walk(made.grammar, []), "say_it(", " text=", " " + "a" * (MAX_TEXT - 2))
    ahead = walk.fork()
    made.write(walk, "a")
    allowed = walk.allowed()
    assert isinstance(allowed, np.ndarray) and np.flatnonzero(allowed).tolist() == [made.layout.sep]
    half, rest = made.ids("é")
    ahead.push(half)  # a character that was begun is brought to its end
    assert not made.can(ahead, ";") and not made.can(ahead, "a")
    ahead.push(rest)
    assert np.flatnonzero(ahead.allowed()).tolist() == [made.layout.sep]


def test_a_text_is_not_spaces_alone(writer: Any) -> None:
    """A text of spaces is no text: at its limit nothing could follow."""
    made = writer(card("say_it", params={"text": {"type": "string"}}))
    walk = made.write(Walk(made.grammar, []), "say_it(", " text=")
    assert made.can(walk, " ", "a", " ", " ", ";") and not made.can(walk, " ", " ")


# The vocabulary.


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        (b"", "whole"),
        (b"a", "whole"),
        ("é".encode(), "whole"),
        ("🎈".encode(), "whole"),
        (b"\xc3", "open"),
        (b"a\xf0\x9f", "open"),
        (b"\xed", "open"),
        (b"\xed\x80", "open"),
        (b"\xed\x9f", "open"),
        (b"\xed\xa0", "broken"),
        (b"\xed\xbf", "broken"),
        (b"\xe2\xa0", "open"),
        (b"\xff", "broken"),
        (b"\xa9", "broken"),
        (b"a\xa9b", "broken"),
        (b"\xc3a", "broken"),
    ],
)
def test_the_utf8_state_of_bytes(raw: bytes, state: str) -> None:
    assert utf8_state(raw) == state


def test_bytes_are_written_as_in_byte_level_vocabularies() -> None:
    table = byte_alphabet()
    assert sorted(table) == list(range(256)) and set(table.values()) == set(pre_tokenizers.ByteLevel.alphabet())
    for char in map(chr, [*range(0x800), *range(0x800, 0xD800, 0x400), *range(0xE000, 0x110000, 0x1000)]):
        assert byte_level(char) == "".join(table[byte] for byte in char.encode())


def test_the_classes_of_tokens() -> None:
    words = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merged = {"é": "whole", " a": "whole", "12": "whole", " -": "whole", "1a": "whole", "\n\n": "", "a\x7f": ""}
    words += [byte_level(word) for word in merged]
    broken = byte_level(" ") + byte_level("é")[1]  # a space, and the second half of a character
    opened = byte_level("a") + byte_level("é")[0]
    words += [broken, opened, "▁x"]
    vocab = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    found = Vocabulary(Layout(tokenizer, len(words) + 2))  # with rows that stand for nothing

    def at(word: str) -> int:
        return vocab[word]

    for word, state in merged.items():
        number = at(byte_level(word))
        assert found.bytes[number] == (word.encode() if state else b"")
        assert (found.whole[number], found.opening[number]) == (bool(state), False) and number not in found.partial
    assert found.bytes[at(broken)] == b" \xa9" and found.bytes[at(opened)] == b"a\xc3"
    assert (found.whole[at(broken)], found.opening[at(broken)], found.whole[at(opened)], found.opening[at(opened)]) == (
        False,
        False,
        False,
        True,
    )
    assert {at(broken), at(opened), at(byte_level("é")[0])} <= set(found.partial) and at(
        byte_level("a")
    ) not in found.partial
    nothing = [0, at("▁x"), at(byte_level("\n")), at(byte_level("\x7f")), len(words), len(words) + 1]
    for number in nothing:
        assert found.bytes[number] == b"" and not (found.whole[number] or found.opening[number] or found.spaced[number])
        assert number not in found.partial and number not in found.numeric
    assert found.bytes[at(byte_level(" "))] == b" " and found.bytes[at(byte_level("~"))] == b"~"
    assert [number for number in range(len(words)) if found.spaced[number]] == sorted(
        [at(byte_level(" ")), at(byte_level(" a")), at(byte_level(" -")), at(broken)]
    )
    assert sorted(found.numeric) == sorted(at(byte_level(word)) for word in [*"0123456789 -.", "12", " -"])
    assert len(found.whole) == len(found.opening) == len(found.spaced) == len(words) + 2 + 23
    # A text begins with a space, and with nothing broken after it.
    layout = Layout(tokenizer, len(words) + 2)
    made = Writer(layout, found, card("say_it", params={"text": {"type": "string"}}))
    walk = made.write(Walk(made.grammar, []), "say_it(", " text=")
    assert np.flatnonzero(walk.allowed()).tolist() == sorted(
        [at(byte_level(" ")), at(byte_level(" a")), at(byte_level(" -"))]
    )


def test_a_refused_argument_is_not_offered_again(writer: Any) -> None:
    made = writer(
        card("shake_it", "Image", ["Image"], params={"often": {"type": "integer"}, "far": {"type": "integer"}}),
        card("name_it", "Text", ["Image"], params={"often": {"type": "integer"}}, required=["often"]),
    )
    walk = Walk(made.grammar, ["Image"], refused=[("shake_it", "often"), ("name_it", "often")])
    assert not made.can(walk, "shake_it(", " often=") and made.can(walk, "shake_it(", " far=")
    assert made.can(walk, "name_it(", " often=")  # which cannot do without
