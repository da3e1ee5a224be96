"""A damaged database of the page is repaired: sessions and owners of files come back, logins do not."""

from pathlib import Path

import pytest

pytest.importorskip("argon2")

from superlink.cli import main
from tools.core.errors import SuperlinkError
from ui.access.access import Access
from ui.access.database import NAME, open_database
from ui.turns.catalogue import Catalogue
from ui.turns.repair import repair_page

PAGE = 4096


@pytest.fixture
def folder(home: Path) -> Path:
    access = Access.open(home / "page")
    access.users.add("ada", "a long password")
    access.users.make_token("ada")
    access.files.give(home / "page/batches", "ada")
    access.close()
    catalogue = Catalogue(home / "page")
    for number in range(200):
        catalogue.add_session(f"{number:032x}", "ada", f"request {number}")
    catalogue.close()
    return home / "page"


def test_each_damaged_page_costs_its_own_rows_alone(folder: Path) -> None:
    whole = (folder / NAME).read_bytes()
    assert repair_page(folder).faults == [] and (folder / NAME).read_bytes() == whole
    most = []
    for page in range(1, len(whole) // PAGE):
        (folder / NAME).write_bytes(whole[: page * PAGE] + b"\xff" * 12 + whole[page * PAGE + 12 :])
        done = repair_page(folder)
        if not done.faults:  # a page that holds nothing
            continue
        assert done.kept is not None and done.kept.exists()
        assert (folder / NAME).stat().st_mode & 0o777 == 0o600
        database = open_database(folder)
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM logins").fetchall() == [(0,)]
        database.close()
        most.append((done.rows["users"], done.rows["folders"], done.rows["sessions"]))
        done.kept.unlink()
    assert len(most) > 5, most
    assert all(users + folders >= 1 and sessions > 100 for users, folders, sessions in most)
    assert (1, 1, 200) in most  # an index is made anew


def test_the_hint_of_a_damaged_page_is_a_command_that_mends_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / NAME
    file.write_bytes(file.read_bytes()[:PAGE] + b"\xff" * PAGE + file.read_bytes()[2 * PAGE :])
    with pytest.raises(SuperlinkError, match=f"superlink repair {folder}"):
        access = Access.open(folder)
        access.users.all()
    assert main(["repair", str(folder)]) == 0
    assert "sessions" in capsys.readouterr().out
    Access.open(folder).close()
    assert main(["repair"]) == 0
    assert capsys.readouterr().out.count("is sound") == 2
