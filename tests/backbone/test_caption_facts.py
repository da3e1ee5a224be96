"""Facts that captions state, beside those that are true of a picture."""

from backbone.training.caption_facts import facts, true_facts
from backbone.world import compose, render
from backbone.world.words.captions import long_caption, short_caption


def test_true_captions_state_true_facts_alone() -> None:
    kinds = set()
    for split in ("test", "compositions", "shifted"):
        for seed in range(40):
            picture = render(compose(seed, split), 128)
            true = true_facts(picture)
            assert facts(long_caption(picture)) <= true and not any(fact[0] == "unknown" for fact in true)
            assert facts(short_caption(picture)) == {fact for fact in true if fact[0] in ("count", "place")}
            kinds |= {fact[0] for fact in true}
    assert kinds == {"count", "place", "thing", "doing", "text", "relation"}


def test_facts_of_a_caption() -> None:
    caption = (
        "Two dogs, an umbrella and a person in a city at night. The person in an orange dress is holding both arms up. "
        'The white sign reads "STOP". The white sign is left of the person in an orange dress. There is a red umbrella.'
    )
    assert facts(caption) == {
        ("count", "dog", "2"),
        ("count", "umbrella", "1"),
        ("count", "person", "1"),
        ("place", "in a city at night"),
        ("doing", "person in an orange dress", "holding both arms up"),
        ("text", "white sign", "STOP"),
        ("relation", "white sign", "left of", "person in an orange dress"),
        ("thing", "person in an orange dress"),
        ("thing", "white sign"),
        ("thing", "red umbrella"),
    }
    assert facts("A quiet view in the snow.") == {("place", "in the snow")}


def test_what_does_not_follow_the_grammar_is_no_true_fact() -> None:
    for sentence in (
        "Two dog in a park.",
        "A dogs in a park.",
        "Two dogs in a parking lot.",
        "Two dogs in a park",  # cut short
        "The unicorn is left of the red car.",
        "There is red car.",
        "dog dog dog",
    ):
        assert facts(sentence) == {("unknown", sentence)}, sentence
    assert facts("") == frozenset()


def test_a_wrong_caption_states_a_wrong_fact() -> None:
    picture = next(
        p for p in (render(compose(seed, "test"), 128) for seed in range(40)) if " is left of " in long_caption(p)
    )
    turned = long_caption(picture).replace(" is left of ", " is above ")
    assert any(fact[0] == "relation" for fact in facts(turned) - true_facts(picture))
