#!/usr/bin/env bash
# Train Lever-LM, which chooses the examples that the planner sees: sequences are grown for the anchors of a bank, and
# a model learns to write them. Give the same command again to continue after a stop.
#
#   BANK=bank.jsonl runs/lever.sh            600 steps, a minute, after five seconds for each anchor on two CPU cores
#   BANK=bank.jsonl STEPS=20 runs/lever.sh   fewer steps
#
# OUT (out/lever) gets grown.jsonl, lever.safetensors and log.txt. BANK is described in backbone/lever/data.py. TOOLS is
# a file of tools that its examples call, where they are no built-in ones. The core is downloaded with
# `superlink models pull` unless it is there. backbone/weights/lever/lever.safetensors is where superlink reads weights.
set -euo pipefail
. "$(dirname "$0")/common.sh" lever

"$PYTHON" -m superlink models pull smollm2-135m
"$PYTHON" -m flows.lever "$BANK" --out "$OUT/grown.jsonl" ${TOOLS:+--tools "$TOOLS"} --seed 7
"$PYTHON" -m backbone.lever.train "$BANK" "$OUT/grown.jsonl" --out "$OUT/lever.safetensors" \
    --steps "${STEPS:-600}" --seed 7
echo "wrote $OUT/lever.safetensors; python benchmarks/claims.py lever measures the same recipe on the houses"
