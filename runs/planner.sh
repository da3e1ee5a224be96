#!/usr/bin/env bash
# Train the planner's adapter (backbone/weights/planner) from the language core: ten schedules, each of which continues
# from the one before, and the mean of four adapters; from there a second round of two schedules, and the mean of both
# rounds. Give the same command again to continue after a stop.
#
#   runs/planner.sh             all 6450 and 2500 steps: about twelve hours on two CPU cores
#   STEPS=4 runs/planner.sh     the same schedules scaled to 4 steps and 2, with rows of 256 tokens, not compiled: minutes
#
# OUT (out/planner) gets for each round (first/, second/) checkpoint.pt, curve.jsonl and adapters, log.txt, and shipped/,
# what backbone/weights/planner holds.
# CORE is the GGUF file of the core; by default it is downloaded with `superlink models pull`.
set -euo pipefail
. "$(dirname "$0")/common.sh" planner

TOTAL=6450
STEPS=${STEPS:-$TOTAL}

scaled() { echo $((($1 * STEPS + TOTAL - 1) / TOTAL)); }
SIZE=--compile REQUESTS=480
if [ "$STEPS" != "$TOTAL" ]; then SIZE="--validation 1" REQUESTS=12; fi
find_core

# train FOLDER STEPS STOP ROWS LENGTH RATE OPTIONS: a cosine over STEPS steps, of which those up to STOP are taken.
train() {
    local folder=$1 steps stop rows=$4 length=$5 rate=$6
    steps=$(scaled "$2") stop=$(scaled "$3")
    shift 6
    if [ "$STEPS" != "$TOTAL" ]; then length=256; fi
    echo "$folder: schedule of $steps steps, to step $stop: $rows rows of $length tokens, peak rate $rate"
    "$PYTHON" -m backbone.training.planner --core "$CORE" --out "$OUT/$folder" --steps "$steps" --stop "$stop" \
        --rows "$rows" --length "$length" --rate "$rate" $SIZE "$@"
}
stage() { train first "$@" --seed 7 --keep $KEEP; }

KEEP="$(scaled 5460) $(scaled 5650) $(scaled 6400) $(scaled 6450)"
stage 1900 1900 2 512 8e-4
stage 2200 2200 1 1024 1.6e-3
stage 3800 3500 1 1024 9e-4
stage 4600 4300 1 1024 2e-3
stage 4450 4450 1 1024 8e-4
stage 5500 5300 1 1024 2.4e-3
stage 5460 5460 2 1024 8e-4
stage 5650 5650 2 1024 8e-4
stage 6700 6300 1 1024 2.8e-3
stage 6450 6450 2 1024 8e-4

# A sixth each of the two before the last two schedules, a third each of the last two.
adapter() { echo "$OUT/first/adapter-$(scaled "$1")=$2"; }
"$PYTHON" -m backbone.training.average --out "$OUT/first/mean" \
    "$(adapter 5460 1)" "$(adapter 5650 1)" "$(adapter 6400 2)" "$(adapter 6450 2)"

# Chains, wordy requests and examples, all of whose data is newer than the first round.
further() { train second "$@" 1 1024 1.5e-3 --from "$OUT/first/mean" --seed 11; }
further 1000 1000
further 2750 2500
"$PYTHON" -m backbone.training.average --out "$OUT/shipped" "$OUT/first/mean=1" "$OUT/second/adapter=9"
cat "$OUT"/first/curve.jsonl "$OUT"/second/curve.jsonl >"$OUT/shipped/curve.jsonl"

# How far the confidence of this adapter can be trusted: calibration.json, which belongs to it.
"$PYTHON" -m backbone.training.calibrate --core "$CORE" --adapter "$OUT/shipped" --requests "$REQUESTS"
echo "wrote $OUT/shipped; measure it with: $PYTHON benchmarks/planner.py --adapter $OUT/shipped"
