"""Train the model that sees: an alignment, then three stages.

    python -m backbone.training.stages align --core FILE.gguf --from eyes.safetensors --out FOLDER [--steps 600]
    python -m backbone.training.stages stage1 --core FILE.gguf --from align/seeing.safetensors --out FOLDER
    python -m backbone.training.stages stage2 --core FILE.gguf --from stage1/seeing.safetensors --out FOLDER
    python -m backbone.training.stages stage3 --core FILE.gguf --from stage2/seeing.safetensors --out FOLDER

The alignment brings visual tokens and regions near the words for what they show (``naming.py``), and the links near
the vectors that stage 0 has learned in their place.
Stage 1 teaches the core to read pictures and regions, stage 2 joins it with the decoders through the link, stage 3
trains links and decoders alone (``freezing.py``). A batch holds one task; tasks take turns by chance, and requests of
the planner's training are among them. A stage that was stopped continues from its last checkpoint when the same command
is given again. Writes ``curve.jsonl`` with hashes of all parts, ``checkpoint.pt`` and ``seeing.safetensors``, which
holds all but the core.

CPU seconds of a step of stage 1, four rows of 256 tokens in bfloat16, one thread of a busy machine
(``benchmarks/stage_cost.py``):

    =============== ========= ==== ============ ======== ==== =============
    setting         rendering eyes core forward backward all  answers
    =============== ========= ==== ============ ======== ==== =============
    as it is             0.05 0.08         1.36     2.02 3.53          47.5
    upper half           0.04 0.09         1.20     1.69 3.03          47.5
    224 px, 49 tokens    0.04 0.07         1.31     1.95 3.39          50.5
    192 px, 36 tokens    0.04 0.06         1.36     1.99 3.46          51.0
    =============== ========= ==== ============ ======== ==== =============

The frozen eyes take 2 % of a step, so their features are not kept on disk: 300 kB a picture would save nothing.
Adapters in the upper half of the core alone save 14 %: the gradient has to pass the lower half anyway, to the
projector. Fewer visual tokens save 2 to 4 %, and leave room for 7 % more answers in a row.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backbone.planner.adapter import ADAPTER
from backbone.training.assemble import assemble, load_eyes
from backbone.training.core import load_tokenizer
from backbone.training.dataset import TrainingDataset
from backbone.training.freezing import TRAINED, freeze, groups, hashes, part_of, prove
from backbone.training.loop import add_schedule, cosine, log, recipe_of, save_checkpoint
from backbone.training.planner import fastest_dtype
from backbone.training.trainer import Recipe, Trainer
from backbone.training.vision_data import drawn_pictures
from backbone.vision.model import BackboneModel
from backbone.vision.tokens import SeeingLayout
from backbone.world import Rendered

RATES = {"adapter": 0.2, "rows": 0.2, "projector": 1.0, "regions": 1.0, "links": 1.0, "decoders": 0.5}
"""Learning rate of each part, as a share of the recipe's."""


FIRST = "align"
"""The stage that begins with the eyes of stage 0."""


def train(
    stage: str,
    core: Path,
    start: Path,
    out: Path,
    recipe: Recipe,
    every: int = 100,
    stop: int | None = None,
    validation: int = 4,
    workers: int = 1,
    cache: Path | None = None,
    adapter: Path = ADAPTER,
    **settings: Any,
) -> None:
    """Train one stage, resuming from the checkpoint in ``out`` if there is one.

    Args:
        stage: One of ``TRAINED``.
        core: GGUF file of the core.
        start: What the stage before wrote: ``eyes.safetensors`` for the alignment, else ``seeing.safetensors``.
        out: Folder of checkpoint, curve and weights.
        recipe: The hyperparameters.
        every: Steps between two checkpoints.
        stop: Step at which to end before the schedule does.
        validation: Batches of each task that a checkpoint is validated on; 0 for none.
        workers: Processes that render pictures.
        cache: Folder of the rendered pictures.
        adapter: Folder of the planner's adapter, with which the first stage begins.
        settings: Fields of `BackboneConfig`.
    """
    last = min(recipe.steps, stop or recipe.steps)
    checkpoint, step = out / "checkpoint.pt", 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True) if checkpoint.exists() else None
    if state is not None and (step := state["step"]) >= last:
        return
    torch.manual_seed(recipe.seed)
    model = assemble(core, adapter, dtype=fastest_dtype(), **settings)
    vectors: dict[str, Tensor] = {}
    if stage == FIRST:
        vectors = load_eyes(model, start)
    else:
        load_seeing(model, load_file(start), start)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    before = hashes(model)
    if state is not None:
        load_seeing(model, state["model"], checkpoint)
    freeze(model, stage)
    optimiser = torch.optim.AdamW(groups(model, RATES), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0)
    out.mkdir(parents=True, exist_ok=True)
    if state is None:
        log(out, {"stage": stage, "step": 0, "trained": list(TRAINED[stage]), "hashes": before})
    else:
        optimiser.load_state_dict(state["optimiser"])
    config = model.config
    layout = SeeingLayout(load_tokenizer(core), config.core.vocab_size, config.queries, config.patches)
    trainer = Trainer(model, layout, recipe, vectors=vectors)
    dataset, held_out = (TrainingDataset(layout, recipe.seed, validation=unseen) for unseen in (False, True))
    begun, cache = recipe.shown(stage, step), cache or out / "pictures"
    shown: Iterator[Rendered] = drawn_pictures(recipe.pictures, recipe.seed, begun, config.image_size, workers, cache)
    began, cpu, sums = time.time(), time.process_time(), dict[str, list[float]]()
    while step < last:
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, recipe.steps, recipe.warmup, recipe.rate, 0.05) * group["share"]
        task = recipe.task(stage, step)
        if task == "words":
            found = trainer.on_words(dataset, step * recipe.rows)
        else:
            batch = list(islice(shown, recipe.rows))
            found = trainer.on_pictures(task, batch, f"{recipe.seed}:{stage}:{step}")
        total = sum((value for name, value in found.items() if not name.endswith("_right")), model.rows.new_zeros(()))
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        for name, value in found.items():
            sums.setdefault(name, []).append(value.item())
        step += 1
        if step % every == 0 or step == last:
            after = hashes(model)
            prove(before, after, stage)
            facts: dict[str, object] = {name: round(sum(values) / len(values), 4) for name, values in sums.items()}
            if validation:
                unseen = trainer.validate(stage, held_out, validation, cache)
                facts |= {name: round(value, 4) for name, value in unseen.items()}
            spent = {"seconds": round(time.time() - began), "cpu_seconds": round(time.process_time() - cpu)}
            log(out, {"stage": stage, "step": step, **facts, **spent, "hashes": after})
            sums = {}
            # The weights come first: a training that is stopped between the two writes them again.
            save_file(seeing(model), out / "seeing.safetensors")
            save_checkpoint(checkpoint, {"step": step, "model": seeing(model), "optimiser": optimiser.state_dict()})


def seeing(model: BackboneModel) -> dict[str, Tensor]:
    """Return all parameters and buffers but those of the core."""
    return {name: v.contiguous() for name, v in model.state_dict().items() if part_of(name) != "core"}


def load_seeing(model: BackboneModel, state: Mapping[str, Tensor], file: Path) -> None:
    """Take over all parameters but those of the core.

    Raises:
        ValueError: They are of another model.
    """
    own = seeing(model)
    if own.keys() != state.keys() or any(own[name].shape != value.shape for name, value in state.items()):
        raise ValueError(f"{file} is of another model, or of a stage before; give seeing.safetensors of the last stage")
    model.load_state_dict(dict(state), strict=False)


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=list(TRAINED))
    parser.add_argument("--core", type=Path, required=True, help="GGUF file of the core")
    parser.add_argument("--from", type=Path, dest="start", required=True, help="weights that the stage before wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint, curve and weights")
    add_schedule(parser, Recipe.steps, Recipe.rate, Recipe.seed)
    parser.add_argument("--every", type=int, default=100, help="steps between two checkpoints")
    parser.add_argument("--rows", type=int, default=Recipe.rows, help="rows in a batch")
    parser.add_argument("--length", type=int, default=Recipe.length, help="tokens in a row with a picture")
    parser.add_argument("--words", type=int, default=Recipe.words, help="tokens in a row of requests")
    parser.add_argument("--pictures", type=int, default=Recipe.pictures, help="pictures in a pass, a multiple of 32")
    parser.add_argument("--cache", type=Path, help="folder of the rendered pictures, that of another stage for example")
    parser.add_argument("--validation", type=int, default=4, help="batches of each task to validate on")
    parser.add_argument("--workers", type=int, default=1, help="processes that render pictures")
    given = parser.parse_args()
    train(
        given.stage,
        given.core,
        given.start,
        given.out,
        recipe_of(Recipe, given),
        every=given.every,
        stop=given.stop,
        validation=given.validation,
        workers=given.workers,
        cache=given.cache,
    )


if __name__ == "__main__":
    main()
