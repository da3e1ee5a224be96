"""Killed at random moments and started again, a command ends as one that was left alone."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_killed_again_and_again(tmp_path: Path) -> None:
    """The benchmark with a few kills; with the hundred of its own it takes minutes."""
    memory = Path("/dev/shm")  # a kill takes nothing from the system's memory, so nothing need wait for a disk
    folder = memory if os.access(memory, os.W_OK) else tmp_path
    command = [sys.executable, str(ROOT / "benchmarks" / "kill.py"), "--kills", "6", "--pictures", "12"]
    ran = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    kills = {line.split()[0]: int(line.split()[1]) for line in ran.stdout.splitlines()[1:-1]}
    assert kills.keys() == {"run", "annotate", "export"} and min(kills.values()) >= 2
