#!/usr/bin/env bash
# Train the model that sees from the planner's adapter and the eyes of runs/eyes.sh: an alignment, then three
# stages.
#
#   runs/seeing.sh            360 steps of the alignment, 3000 each of stages 1 and 2, 2000 of stage 3
#   STEPS=4 runs/seeing.sh    4 steps of each
#
# OUT (out/seeing) gets a folder for each stage with checkpoint.pt, curve.jsonl and seeing.safetensors, the rendered
# pictures, log.txt, and weights/, which is to be copied to backbone/weights/seeing. Give the same command again to
# continue after a stop. EYES is eyes.safetensors of runs/eyes.sh. CORE is the GGUF file of the core; by
# default it is downloaded with `superlink models pull`.
set -euo pipefail
. "$(dirname "$0")/common.sh" seeing

EYES=${EYES:-out/eyes/eyes.safetensors}

find_core
keep_memory

# stage NAME STEPS FROM [OPTION …]
stage() {
    "$PYTHON" -m backbone.training.stages "$1" --core "$CORE" --from "$3" --out "$OUT/$1" --steps "${STEPS:-$2}" \
        --cache "$OUT/pictures" --seed 7 "${@:4}"
}
stage align 360 "$EYES" --rows 16 --rate 2e-3
stage stage1 3000 "$OUT/align/seeing.safetensors"
stage stage2 3000 "$OUT/stage1/seeing.safetensors"
stage stage3 2000 "$OUT/stage2/seeing.safetensors"
"$PYTHON" -m backbone.training.pack "$OUT/stage3/seeing.safetensors" --out "$OUT/weights"
