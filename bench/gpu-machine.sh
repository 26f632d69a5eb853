#!/usr/bin/env bash
# On a machine with an NVIDIA GPU and nothing else of ours: Vulkan's loader from .gl/*.deb, Node and
# Dawn from .carry, then the conformance cases and the zoo on the GPU, and the overhead bench.
#   bench/gpu-machine.sh OUT [cases] [conformance] [overhead] [profile] [kernels] [bench] [full]
# bench/pack.sh makes .carry. What a call unpacks or exports stays in /tmp/n and /tmp/full for later
# ones, and a call without a mode only unpacks. A call has ten minutes: ONLY=NAME,... limits
# kernels (by parts of names), bench and full (by names), BUDGET=SECONDS the runs of a model,
# ENGINES=NAME,... the engines.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
shift
for deb in .gl/*.deb; do dpkg-deb -x "$deb" / 2>/dev/null || dpkg -x "$deb" /; done
ldconfig
VK_DRIVER_FILES=${VK_DRIVER_FILES:-$(ls /usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json 2>/dev/null | head -1)}
export VK_DRIVER_FILES
mkdir -p /tmp/n
[ -x /tmp/n/node ] || { xz -dc .carry/node24.xz >/tmp/n/node && chmod +x /tmp/n/node; }
[ -f /tmp/n/dawn.node ] || xz -dc .carry/dawn.node.xz >/tmp/n/dawn.node
if [ -f .carry/peers.tar.xz ]; then
  mkdir -p /tmp/n/node_modules
  tar -xJf .carry/peers.tar.xz -C /tmp/n/node_modules
fi
export DAWN_NODE=/tmp/n/dawn.node
f16=${DAWN_TOGGLES-enable-dawn-features=vulkan_enable_f16_on_nvidia}
# With subgroup matrices, which browsers have behind a flag.
matrices=${DAWN_TOGGLES-enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia}
cli=(/tmp/n/node --import ./bench/dawn-global.mjs .carry/runtime/dist/cli.js)
bench=(/tmp/n/node --experimental-wasm-jspi --expose-gc bench/bench.mjs .carry/runtime
  --packages /tmp/n/node_modules --budget "${BUDGET:-8}" ${ENGINES:+--engines "$ENGINES"})

# full_names: those in ONLY, else all.
full_names() { if [ -n "${ONLY:-}" ]; then tr , '\n' <<<"$ONLY"; else python3 bench/models.py --list; fi; }

# export_model NAME: with torch's times, unless an earlier call did.
export_model() {
  mkdir -p /tmp/full
  [ -f "/tmp/full/$1.done" ] && return
  python3 bench/models.py /tmp/full --only "$1" --torch-time || return
  [ ! -f /tmp/full/torch.json ] || mv /tmp/full/torch.json "/tmp/full/torch-$1.json"
  touch "/tmp/full/$1.done"
}

for what in "$@"; do
  case $what in
    cases)
      /tmp/n/node tests/kernels/run-wgsl.mjs --cases .carry/gpu-cases.jsonl | tee "$out/cases.txt" || true
      ;;
    conformance)
      node=$(mktemp -d) zoo=$(mktemp -d)
      tar -xJf tests/data/onnx-node.tar.xz -C "$node"
      tar -xJf tests/data/zoo.tar.xz -C "$zoo"
      "${cli[@]}" check "$node"/* --device webgpu --quiet --json "$out/onnx-node.json" || true
      "${cli[@]}" check "$zoo"/* --device webgpu --l2 1e-4 --rtol 1e-3 --atol 1e-3 --json "$out/zoo.json" || true
      ;;
    overhead)
      /tmp/n/node bench/overhead.mjs .carry/runtime .carry/models --json "$out/overhead.json"
      ;;
    profile)
      (cd "$out" && /tmp/n/node --cpu-prof --cpu-prof-interval 50 "$OLDPWD/bench/overhead.mjs" \
        "$OLDPWD/.carry/runtime" "$OLDPWD/.carry/models" --only silero --runs 4000)
      ;;
    kernels)
      DAWN_TOGGLES=$matrices /tmp/n/node bench/kernels.mjs .carry/runtime --only "${ONLY:-}" \
        --json "$out/kernels.json" || true
      DAWN_TOGGLES=$f16 /tmp/n/node bench/kernels.mjs .carry/runtime --only "${ONLY:-f16}" \
        --json "$out/kernels-plain.json" || true
      ;;
    bench)
      DAWN_TOGGLES=$f16 "${bench[@]}" ${ONLY:+--models "$ONLY"} --json "$out/bench.json" || true
      ;;
    full)
      # One process a model: what one engine does to its process harms no other model.
      for name in $(full_names); do
        export_model "$name" || continue
        DAWN_TOGGLES=$f16 timeout "${LIMIT:-240}" "${bench[@]}" --model "/tmp/full/$name.onnx" \
          --json "$out/full-$name.json" || echo "$name: the bench ended with status $?"
      done
      cp /tmp/full/torch-*.json "$out/" 2>/dev/null || true
      ;;
  esac
done
