# What the scripts of this folder share, each of which reads it: . runs/common.sh NAME
#
# OUT (out/NAME) is where a script writes, also log.txt; PYTHON is the interpreter that it calls.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OUT=${OUT:-out/$1}
PYTHON=${PYTHON:-.venv/bin/python}
export PYTHONPATH=$PWD
mkdir -p "$OUT"
exec > >(tee -a "$OUT/log.txt") 2>&1

# Set CORE to the GGUF file of the language core, which is downloaded unless it is given or there.
find_core() {
    if [ -n "${CORE:-}" ]; then return; fi
    "$PYTHON" -m superlink models pull smollm2-135m
    CORE=$("$PYTHON" -c 'from tools.weights.weights import use; print(use("smollm2-135m"))')
}

# Without these, the allocator gives large tensors back to the system after each step and asks for them again.
keep_memory() { export MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=4000000000; }
