#!/usr/bin/env bash
# Train the four specialists of the rendered world (backbone/weights/specialists) from random weights.
#
#   runs/specialists.sh                           8000 pictures: about two and a half hours on one CPU core
#   PICTURES=48 EPOCHS=1 runs/specialists.sh      48 pictures for training and 6 for validation, one epoch each
#
# OUT (out/specialists) gets the data sets, a folder with the checkpoints of each task, log.txt, and what is shipped:
# world-TASK.pt and its curve TASK.csv. Give the same command again to continue from the last whole epoch after a stop.
set -euo pipefail
. "$(dirname "$0")/common.sh" specialists

PICTURES=${PICTURES:-8000}

VALIDATION=300
if [ "$PICTURES" -lt 2400 ]; then VALIDATION=$((PICTURES / 8)); fi
"$PYTHON" -m backbone.training.specialists --out "$OUT" --pictures "$PICTURES" --validation "$VALIDATION" \
    ${EPOCHS:+--epochs "$EPOCHS"}
echo "wrote $OUT/world-*.pt; put them into backbone/weights/specialists to measure them with: $PYTHON benchmarks/specialists.py"
