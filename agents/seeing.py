"""The model that sees, as an engine of tools: the use of the backbone by `tools.engines.linked`."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agents.eight_bits import written_once
from common.masks import Mask
from tools.core.errors import SettingsInvalid, WeightsMissing
from tools.core.hashing import sha256_of
from tools.weights import weights

if TYPE_CHECKING:
    from backbone.vision.familiar import Familiar
    from backbone.vision.finds import Find
    from backbone.vision.seer import Look, Seer

KEPT = 4
"""Pictures that need not be looked at again when the next step of a plan asks about them."""


class Sight:
    """A model that sees, with what it saw last; see `tools.engines.linked.Sight`.

    Args:
        seer: The model.
        familiar: What pictures of its training are like.
        categories: Names of what they show.
    """

    def __init__(self, seer: "Seer", familiar: "Familiar", categories: Sequence[str]) -> None:
        from backbone.vision.tokens import DECODERS

        self.categories = tuple(categories)
        self.links: Mapping[str, tuple[str, int]] = {
            tool: (decoder, len(seer.layout.queries[decoder])) for tool, decoder in DECODERS.items()
        }
        self._seer, self._familiar = seer, familiar
        self._looks: OrderedDict[bytes, Look] = OrderedDict()

    @classmethod
    def load(cls, folder: Path, core: str) -> "Sight":
        """Load shipped weights.

        Args:
            folder: The weights.
            core: Id of the weights of the language core.

        Raises:
            WeightsMissing: The core is not on this computer, or the weights are damaged.
            SettingsInvalid: The core is another one than that of the weights.
            WriteError: The core in 8 bits cannot be written.
        """
        from backbone.planner.tensors import DamagedFile
        from backbone.vision.seer import Seer
        from backbone.vision.shipped import read_config, read_familiar

        file = core_file(folder, core)
        try:
            config, familiar = read_config(folder), read_familiar(folder)
            return cls(Seer.load(file, folder), familiar, config["categories"])
        except DamagedFile as error:
            raise WeightsMissing(
                f"The backbone's weights are damaged: {error}",
                f"Copy {folder} again from superlink's repository; if {file} is named, delete it",
            ) from error

    def strange(self, picture: NDArray[np.uint8]) -> bool:
        """Return whether a picture is of another kind than those of the training."""
        return self._familiar.strange(self._look(picture).features)[0]

    def find(self, picture: NDArray[np.uint8], tool: str, asked: Sequence[str | Mask], least: float) -> "list[Find]":
        """Find what words or regions mean."""
        return self._seer.find(self._look(picture), tool, asked, least)

    def answer(self, picture: NDArray[np.uint8], question: str, longest: int) -> str:
        """Answer a question."""
        return self._seer.answer(self._look(picture), question, most=longest)

    def caption(self, picture: NDArray[np.uint8], longest: int) -> str:
        """Describe a picture in a sentence."""
        from backbone.vision.tokens import CAPTION

        return self._seer.answer(self._look(picture), CAPTION, most=longest)

    def _look(self, picture: NDArray[np.uint8]) -> "Look":
        key = hashlib.sha256(f"{picture.shape}".encode() + np.ascontiguousarray(picture).tobytes()).digest()
        look = self._looks.pop(key, None)
        self._looks[key] = self._seer.look([picture]) if look is None else look
        if len(self._looks) > KEPT:
            self._looks.popitem(last=False)
        return self._looks[key]


def core_file(folder: Path, core: str) -> Path:
    """Return the core with the folder's adapter merged in, in 8 bits, as one file; made here unless it is there.

    Args:
        folder: The weights of the model that sees.
        core: Id of the weights of the language core.

    Raises:
        WeightsMissing: The core is not on this computer; names the command that fetches it.
        SettingsInvalid: The core is another one than that of the weights.
        WriteError: The file cannot be written.
    """
    from backbone.planner.adapter import ADAPTER_FILES
    from backbone.planner.quantized import FORMAT
    from backbone.vision.shipped import write_core

    gguf = weights.use(core)
    parts = (weights.verified_hash(core), sha256_of(folder, ADAPTER_FILES), FORMAT)
    try:
        return written_once("seeing", parts, lambda file: write_core(gguf, folder, file))
    except (ValueError, KeyError) as error:
        raise SettingsInvalid(
            f"The weights {core} are not the language core that {folder} belongs to: {error}",
            "Choose other weights for the role in settings.toml",
        ) from error
