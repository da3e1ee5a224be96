#!/usr/bin/env bash
# Two Ray nodes on this computer and one run over both; see scale-out.md. Usage: docs/two-nodes.sh [FOLDER]
set -euo pipefail
PATH="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin:$PATH"
mkdir -p "${1:-two-nodes}" && cd "${1:-two-nodes}"

# What all nodes share: the token of the cluster, the store of values, and where weights and settings are.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" RAY_USAGE_STATS_ENABLED=0
export SUPERLINK_HOME="$PWD/home" SUPERLINK_STORE="$PWD/values"
superlink world --n 48 --size 256 --out world
cat > plan.json <<'PLAN'
{"request": "blur every face",
 "steps": [{"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["face"]}},
           {"id": "s2", "tool": "redact", "args": {"image": "$image", "regions": "$s1"}}],
 "outputs": ["$s2"]}
PLAN

trap "ray stop --force >/dev/null 2>&1" EXIT  # ends every Ray of yours on this computer
ray start --head --port 6399 --num-cpus 1 --include-dashboard false
ray start --address 127.0.0.1:6399 --num-cpus 1
export RAY_ADDRESS=127.0.0.1:6399

run() { superlink annotate "" world/images --plan plan.json --yes --pilot 0 --shard 8 --format jsonl --format mirror "$@"; }
run --out alone
run --out cluster --runner ray --workers 2
diff -r alone/jsonl cluster/jsonl
diff -r alone/mirror cluster/mirror
echo "Both runs exported the same bytes."
