"""Which files go together, and what their results are called."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from superlink.items import names_of, open_files


def names(*paths: str) -> list[str]:
    return list(names_of([Path(path) for path in paths]).values())


def test_names_are_those_of_the_files_where_these_differ() -> None:
    assert names("x/dog.png", "y/cat.jpg", "a_2.png") == ["dog", "cat", "a_2"]


def test_files_of_one_name_get_names_that_depend_on_their_path_alone() -> None:
    first, second, third = names("x/a.png", "y/a.png", "z/a_2.png")
    assert len({first, second}) == 2 and third == "a_2"
    assert names("y/a.png", "q/A.png", "./x/a.png")[::2] == [second, first]
    assert names("x/a.png") == ["a"]
    # A file called like one of these is not taken for it.
    assert names(f"w/{first}.png", "x/a.png", "y/a.png")[0] not in (first, second)


def test_capitals_and_composed_letters_do_not_distinguish_names() -> None:
    assert len({name.casefold() for name in names("a.png", "A.png", "café.png", "cafe\u0301.png")}) == 4
    assert "a" not in names("a.png", "A.png")


def test_names_that_cannot_be_written_everywhere(tmp_path: Path) -> None:
    found = names(os.fsdecode(b"caf\xe9.png"), "\x1b[31mred.png", "n" * 251 + ".png", "m" * 120 + "-0123456789.png")
    assert found[0].startswith("caf_-") and "\x1b" not in found[1]
    for name in found:
        (tmp_path / name.encode().decode()).mkdir()


@given(
    st.lists(
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=6),
        unique_by=os.path.abspath,
    )
)
def test_names_are_always_different(paths: list[str]) -> None:
    found = names_of([Path(path) for path in paths])
    assert len({name.casefold() for name in found.values()}) == len(found)


def test_a_file_is_opened_once_however_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("words")
    (tmp_path / "b").mkdir()
    opened, failures = open_files([file, tmp_path / "b" / ".." / "a.txt", tmp_path / "none.png", tmp_path / "none.png"])
    assert list(opened) == [file] and [path for path, _ in failures] == [tmp_path / "none.png"]
