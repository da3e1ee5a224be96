"""What the README says works, as it stands there."""

import re
from pathlib import Path

import numpy as np

from tools import Image, Store
from tools.runtime.execute import call
from tools.runtime.registry import file_tools, load

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def test_the_tool_of_the_readme(tmp_path: Path) -> None:
    (block,) = re.findall(r"<!-- this block is run by [^>]*-->\n```python\n(.*?)```", README, re.DOTALL)
    assert len(block.strip().splitlines()) <= 15
    file = tmp_path / "rotate.py"
    file.write_text(block)
    (rotate,) = file_tools(file)
    assert rotate.name in load([file], entry_points=False)
    store = Store(tmp_path / "store")
    picture = Image.from_numpy(np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3))
    ref = call(rotate, {"image": store.put(picture), "degrees": 90.0}, store, "s1")
    assert not isinstance(ref, list)
    turned = store.get(ref)
    assert isinstance(turned, Image)
    assert np.array_equal(turned.pixels, np.rot90(picture.pixels, -1))


def test_the_commands_of_the_readme_exist() -> None:
    from superlink.cli import COMMANDS

    documented = set(re.findall(r"`superlink ([\w-]+)", README))
    assert documented == {command.__name__.rsplit(".", 1)[1].replace("_", "-") for command in COMMANDS}
