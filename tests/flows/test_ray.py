"""Runs on Ray: real worker processes under a real Prefect server, and one of them killed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agents.plan.plan import Plan
from flows.annotate import annotate
from flows.batch.review import ReviewRouting, queue
from flows.batch.shard import RunStopped
from flows.ledger.ledger import Ledger
from tests.flows.conftest import FIND, make, read_files
from tools.core.settings import settings

pytest.importorskip("prefect_ray")
pytest.importorskip("ray")

ROOT = Path(__file__).resolve().parents[2]
TOOLS = [str(Path(__file__).with_name(name)) for name in ("finding.py", "mortal.py")]
STEPS = [*FIND["steps"], {"id": "s2", "tool": "invert", "args": {"image": "$image"}}]
PLAN = Plan.load({"steps": STEPS, "outputs": ["$s1", "$s2"]})
FORMATS = ["jsonl", "coco", "mirror"]
# The damaged ones come first and fill a shard, so that all others are of three pictures.
ITEMS, DAMAGED, SHARD = 18, 3, 3
CHILD = """
import json, sys
from flows.orchestration.server import server

if __name__ == "__main__":
    with server():
        from flows.batch.spec import RunSpec
        from flows.orchestration.deployments import signed_parameters
        from flows.orchestration.flow import annotate_flow
        for given in json.loads(sys.argv[1]):
            print("ended:", annotate_flow(**signed_parameters(RunSpec.load(given)), return_state=True).message)
"""
ALL = f"{ITEMS} of {ITEMS + DAMAGED} done, {DAMAGED} failed, 0 left; {2 * ITEMS} calls run, 0 reused"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a source and a run of its own, in which a run without Prefect and Ray has been."""
    root = tmp_path_factory.mktemp("ray")
    make(root / "in", ITEMS, DAMAGED)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", "PREFECT_API_URL", "PREFECT_HOME"):
            patch.delenv(name, raising=False)
        for name, value in {
            "SUPERLINK_HOME": root / "home",
            "MORTAL": root,
            "RAY_AUTH_TOKEN": os.urandom(16).hex(),
        }.items():
            patch.setenv(name, str(value))
        settings.cache_clear()
        summary = annotate(
            "",
            str(root / "in"),
            root / "alone",
            plan=PLAN,
            tools=TOOLS,
            pilot=0,
            formats=FORMATS,
            routing=ReviewRouting(audit=0.3),
            store=str(root / "store alone"),
        )
        assert (summary.done, summary.failed) == (ITEMS, DAMAGED)
        assert set(pids(root)) == {str(os.getpid())} and len(exported(root / "alone")) > ITEMS
        yield root
    settings.cache_clear()


def ray(root: Path, *names: str, **options: Any) -> list[str]:
    """Run on Ray with two workers, into folders of these names, and return how each run ended."""
    given = [
        {
            "source": str(root / "in"),
            "out": str(root / name),
            "plan": PLAN.model_dump(mode="json"),
            "tools": TOOLS,
            "shard": SHARD,
            "workers": 2,
            "runner": "ray",
            "formats": FORMATS,
            "routing": ReviewRouting(audit=0.3).to_json(),
            "store": str(root / f"store {name}"),
            **options,
        }
        for name in names
    ]
    done = subprocess.run([sys.executable, "-c", CHILD, json.dumps(given)], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    # Ray prints a line of its own for each worker that dies.
    return [line.removeprefix("ended: ") for line in done.stdout.splitlines() if line.startswith("ended: ")]


def exported(out: Path) -> dict[str, bytes]:
    """What a run exported, and what waits for review."""
    ledger = Ledger.open_existing(out)
    asked = sorted(question[1:6] for question in queue(ledger))
    ledger.close()
    return {"review": repr(asked).encode(), **read_files(out, FORMATS)}


def pids(root: Path) -> list[str]:
    """The process of each call since this was asked last."""
    found = (root / "pids").read_text().split()
    (root / "pids").write_text("")
    return found


def test_several_worker_processes_give_the_same(root: Path) -> None:
    (root / "attack").touch()
    (root / "both").touch()
    # The second run finds nothing to do, and so does not even start Ray.
    assert ray(root, "ray", "ray") == [ALL, ALL.replace(f"{2 * ITEMS} calls run", "0 calls run")]
    (root / "both").unlink()
    used = pids(root)
    assert len(used) == ITEMS and len(set(used)) == 2 and str(os.getpid()) not in used
    assert exported(root / "ray") == exported(root / "alone")
    # Meanwhile, other computers reached none of Ray's ports, and who had no token could not have anything run.
    seen = json.loads((root / "attacked").read_text())
    assert set(seen["addresses"]) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, seen["addresses"]
    assert seen["statuses"] and min(seen["statuses"]) >= 400 and not (root / "shell").exists()
    secrets = [os.environ["RAY_AUTH_TOKEN"], (root / "home/prefect/password").read_text()]
    assert not [line for line in seen["commands"] if any(one in line for one in secrets)]


def test_a_killed_worker_is_made_up_for(root: Path) -> None:
    (root / "kill").touch()
    assert ray(root, "killed") == [ALL]
    [killed] = root.glob("killed *[0-9]")
    used = pids(root)
    # It died in the second call of its first shard, which another process began again.
    assert used.count(killed.name.split()[1]) == 2 and len(set(used)) in (2, 3) and len(used) == ITEMS + 2
    assert exported(root / "killed") == exported(root / "alone")


def test_a_shard_that_kills_every_worker_stops_the_run(root: Path) -> None:
    (root / "kill all").touch()
    [ended] = ray(root, "stopped", limit=DAMAGED + 1)
    (root / "kill all").unlink()
    assert "A worker ended: WorkerCrashedError" in ended and "smaller shards" in ended
    assert len(set(pids(root))) == 4  # once, and three times again


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.workers.ray import ShardRunner

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RunStopped, match="There is no Ray cluster at 127.0.0.1:1"), ShardRunner(2):
        pass


@pytest.mark.parametrize(("workers", "accelerators", "share"), [(4, 0, 0), (4, 2, 0.5), (3, 2, 0.5), (2, 4, 1)])
def test_shards_share_accelerators(
    home: Path, monkeypatch: pytest.MonkeyPatch, workers: int, accelerators: int, share: float
) -> None:
    from flows.workers import ray as ray_runner

    monkeypatch.setattr(ray_runner.ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": float(accelerators)})
    assert ray_runner._share(workers) == share
    monkeypatch.setenv("SUPERLINK_DEVICE", "cpu")
    settings.cache_clear()
    assert ray_runner._share(workers) == 0
