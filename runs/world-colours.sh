#!/usr/bin/env bash
# Fit the network that names the colours of the rendered world (backbone/weights/world/colours.safetensors).
#
#   runs/world-colours.sh                all 2500 scenes: a few minutes on one CPU core
#   SCENES=60 runs/world-colours.sh      fewer scenes
#
# OUT (out/world-colours) gets colours.safetensors, curve.jsonl and log.txt. After a stop the same command begins again.
set -euo pipefail
. "$(dirname "$0")/common.sh" world-colours

"$PYTHON" -m backbone.world.check.fit_colours --scenes "${SCENES:-2500}" --out "$OUT"
echo "wrote $OUT/colours.safetensors; measure it with: $PYTHON benchmarks/world.py --checker 400, once it is in backbone/weights/world"
