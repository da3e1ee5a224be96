"""Users, logins and the pause after wrong passwords."""

import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("argon2")

import argon2

from superlink.cli import main
from tools.core.errors import SettingsInvalid
from tools.storage.database import Database
from ui.access import attempts
from ui.access.attempts import Attempts
from ui.access.database import NAME, open_database
from ui.access.users import LOGIN_SECONDS, SINGLE, Users

PASSWORD = "a long password"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def users(database: Database, clock: Clock, cheap: None) -> Users:
    return Users(database, clock)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time: what is tested is not argon2."""
    hasher = argon2.PasswordHasher
    monkeypatch.setattr("ui.access.users.PasswordHasher", lambda: hasher(time_cost=1, memory_cost=8, parallelism=1))


def _logged_in(users: Users, name: str, password: str = PASSWORD) -> str:
    token = users.log_in(name, password)
    assert token is not None
    return token


def test_a_user_logs_in_by_the_right_password_alone(users: Users, database: Database) -> None:
    users.add("Ada", PASSWORD)
    assert users.exist()
    token = _logged_in(users, "ADA")
    assert users.user_of(token) == "Ada"
    for wrong in ("", "a long passwore", PASSWORD.upper(), PASSWORD + "x" * 2000, "\udcff"):
        assert users.log_in("Ada", wrong) is None
    assert users.log_in("Bob", PASSWORD) is None and users.log_in("\udcff", PASSWORD) is None
    assert users.user_of("") is None and users.user_of("\udcff") is None
    held = repr([row for table in ("users", "logins") for row in database.execute(f"SELECT * FROM {table}").fetchall()])
    assert "$argon2id$" in held and PASSWORD not in held and token not in held


def test_names_and_passwords_are_checked(users: Users) -> None:
    for name in ("", " ", "a b", "-a", "../a", "a/b", "a" * 65, "é", "<b>", "a\n", "\udcff"):
        with pytest.raises(SettingsInvalid, match="cannot be the name"):
            users.add(name, PASSWORD)
    for password in ("", "7 chars", "x" * 1025):
        with pytest.raises(SettingsInvalid, match="characters"):
            users.add("ada", password)
    users.add("ada@example.org", PASSWORD)
    with pytest.raises(SettingsInvalid, match="a user ada@example.org already"):
        users.add("ADA@example.org", PASSWORD)
    for unknown in ("bob", "\udcff", ""):
        with pytest.raises(SettingsInvalid, match="Users are ada@example.org"):
            users.remove(unknown)


@pytest.mark.parametrize(
    "change",
    [
        lambda users: users.remove("ada"),
        lambda users: users.set_password("ada", "another password"),
        lambda users: users.log_out_all("ada"),
    ],
)
def test_logins_and_tokens_end_with_the_user_and_the_password(users: Users, change: Callable[[Users], None]) -> None:
    users.add("ada", PASSWORD)
    users.add("bob", PASSWORD)
    tokens = [_logged_in(users, "ada"), users.make_token("ada")]
    other = _logged_in(users, "bob")
    change(users)
    assert [users.user_of(token) for token in tokens] == [None, None] and users.user_of(other) == "bob"
    if not users.log_in("ada", PASSWORD) and not users.log_in("ada", "another password"):
        users.add("ada", PASSWORD)  # a new user of the same name is another one
        assert [users.user_of(token) for token in tokens] == [None, None]


def test_a_login_ends_by_itself_and_a_token_does_not(users: Users, clock: Clock) -> None:
    users.add("ada", PASSWORD)
    token, forever = _logged_in(users, "ada"), users.make_token("ada")
    second = _logged_in(users, "ada")
    users.log_out(second)
    assert users.user_of(second) is None
    clock.now += LOGIN_SECONDS - 1
    assert users.user_of(token) == "ada"
    clock.now += 2
    assert users.user_of(token) is None and users.user_of(forever) == "ada"
    assert [(user.name, user.logins, user.tokens) for user in users.all()] == [("ada", 0, 1)]


def test_the_single_password_lasts_as_long_as_it_is_given(users: Users) -> None:
    users.set_single("short")
    token = _logged_in(users, SINGLE, "short")
    users.set_single("short")  # the page starts again
    assert users.user_of(token) == SINGLE
    users.set_single("other")
    assert users.user_of(token) is None and users.log_in(SINGLE, "short") is None
    token = _logged_in(users, SINGLE, "other")
    users.set_single(None)
    assert users.user_of(token) is None and not users.exist()
    users.add(SINGLE, PASSWORD)
    users.set_single(None)
    assert users.log_in(SINGLE, PASSWORD)
    with pytest.raises(SettingsInvalid, match="a password of its own"):
        users.set_single("short")


def test_the_same_letter_is_the_same_on_all_keyboards(users: Users) -> None:
    users.add("ada", "caf\u00e9 au lait")
    assert users.log_in("ada", "cafe\u0301 au lait")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_the_database_is_for_its_owner(database: Database, users: Users, tmp_path: Path) -> None:
    users.add("ada", PASSWORD)
    for file in tmp_path.glob(f"{NAME}*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_wrong_passwords_make_a_growing_pause(database: Database, clock: Clock) -> None:
    tries = Attempts(database, clock)
    for _ in range(attempts.FREE - 1):
        tries.note_wrong("ada", "192.0.2.1")
    assert tries.pause("ada", "192.0.2.1") == 0
    tries.note_wrong("ada", "192.0.2.1")
    assert tries.pause("ADA ", "198.51.100.1") == tries.pause("bob", "192.0.2.1") == attempts.FIRST
    assert tries.pause("bob", "192.0.2.2") == 0
    clock.now += attempts.FIRST
    assert tries.pause("ada", "192.0.2.1") == 0
    tries.note_wrong("ada", "192.0.2.1")
    assert tries.pause("ada", "192.0.2.1") == 2 * attempts.FIRST
    for _ in range(2000):
        tries.note_wrong("ada", "192.0.2.1")
    assert tries.pause("ada", "192.0.2.1") == attempts.LONGEST
    tries.note_right("ada")
    assert tries.pause("ada", "192.0.2.9") == 0 and tries.pause("ada", "192.0.2.1") == attempts.LONGEST
    clock.now += attempts.FORGOTTEN + 1
    tries.note_wrong("bob", "192.0.2.1")
    assert tries.pause("bob", "192.0.2.1") == 0
    assert database.execute("SELECT count(*) FROM attempts").fetchone() == (2,)


def test_an_ipv6_visitor_has_one_address(database: Database, clock: Clock) -> None:
    tries = Attempts(database, clock)
    for number in range(attempts.FREE):
        tries.note_wrong(f"user{number}", f"2001:db8::{number}")
    assert tries.pause("x", "2001:db8::ffff") > 0 and tries.pause("x", "2001:db8:0:1::1") == 0
    for number in range(attempts.FREE):
        tries.note_wrong(f"user{number}", "::ffff:192.0.2.7")
    assert tries.pause("x", "192.0.2.7") > 0 and tries.pause("x", "192.0.2.8") == 0


def test_the_commands(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, cheap: None
) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)

    def user(*arguments: str) -> tuple[int, str]:
        status = main(["ui", "user", *arguments])
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    assert user("list") == (
        0,
        "There are no users: the page is open to this computer only. Add one: superlink ui user add NAME\n",
    )
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nnot this\n")
    assert user("add", "ada", "--password-file", str(file))[0] == 0
    status, shown = user("add", "Ada", "--password-file", str(file))
    assert status == 1 and "a user ada already" in shown
    status, shown = user("add", "bob", "--password-file", str(tmp_path / "gone"))
    assert status == 1 and "gone cannot be read" in shown
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    status, shown = user("password", "ada")
    assert status == 1 and "--password-file" in shown
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter(["typed by hand", "typed by hand", "one password", "another one"])

    def type_one(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("getpass.getpass", type_one)
    assert user("password", "ada")[0] == 0
    status, shown = user("add", "bob")
    assert status == 1 and "differ" in shown
    status, shown = user("add", "bob")  # the input ends
    assert status == 1 and "no password was typed" in shown
    status, token = user("token", "ada")
    users = Users(open_database(home / "page"))
    assert users.user_of(token.strip()) == "ada" and users.log_in("ada", "typed by hand")
    assert "ada  added" in user("list")[1]
    assert user("logout", "ada")[0] == 0 and users.user_of(token.strip()) is None
    assert user("remove", "ada")[0] == 0 and not users.exist()
    status, shown = user("remove", "ada")
    assert status == 1 and "superlink ui user add" in shown
