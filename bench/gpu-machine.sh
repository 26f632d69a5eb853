#!/usr/bin/env bash
#
# gpu-machine.sh OUT [MODE...]: on a machine with an NVIDIA GPU and nothing else of ours. Takes the
# pieces that bench/pack.sh made from .carry, unpacks what is complete, and then, by mode:
#
#   cases         kernels with what they are to give, of the suite gpu
#   conformance   the conformance cases and the zoo on the GPU
#   overhead      bench/overhead.mjs; profile: Silero's under a CPU profiler
#   kernels       bench/kernels.mjs
#   tune          the same with the tuner
#   bench         bench/bench.mjs on the known models, in Node
#   page          bench/page.mjs on them, in Chromium
#   full          full-size models, beside torch
#   shares        where their GPU time goes: quern profile
#   compile       what their programs cost the driver, and onnxruntime-web's: bench/compile.mjs
#
# What is unpacked or exported stays in $KEEP (/tmp/n) for later calls; a call without a mode only
# takes and unpacks. A call has ten minutes: ONLY=NAME,... limits kernels (by parts of names), bench,
# page and full (by names), BUDGET=SECONDS the runs of a model, ENGINES=NAME,... the engines. Vulkan's
# loader and EGL come from .gl/*.deb, where it is there.

set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
shift
keep=${KEEP:-/tmp/n}
mkdir -p "$keep/pieces"

for deb in .gl/*.deb; do
  [ ! -f "$deb" ] || dpkg-deb -x "$deb" / 2>/dev/null || dpkg -x "$deb" /
done
[ ! -d .gl ] || ldconfig

# first FILE...: the first that is there.
first() {
  local file
  for file in "$@"; do
    [ ! -f "$file" ] || { echo "$file" && return; }
  done
}
nvidia=/usr/local/nvidia/share
icd=${VK_DRIVER_FILES:-$(first $nvidia/vulkan/icd.d/nvidia_icd.json /usr/share/vulkan/icd.d/nvidia_icd.json)}
egl=${__EGL_VENDOR_LIBRARY_FILENAMES:-$(first {$nvidia,/usr/share}/glvnd/egl_vendor.d/10_nvidia.json)}
[ -z "$icd" ] || export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
[ -z "$egl" ] || export __EGL_VENDOR_LIBRARY_FILENAMES=$egl

# take NAME: keeps the pieces of a pack, and unpacks it once they are all there.
take() {
  local list=$keep/pieces/$1.list done=$keep/pieces/$1.done
  [ ! -f ".carry/$1.list" ] || cp ".carry/$1.list" "$list"
  [ -f "$list" ] || return 0
  if cmp -s "$list" "$done"; then return 0; fi
  local file sum missing=()
  while read -r sum file; do
    [ ! -f ".carry/$file" ] || cp ".carry/$file" "$keep/pieces/"
    (cd "$keep/pieces" && sha256sum --status -c - <<<"$sum  $file" 2>/dev/null) || missing+=("$file")
  done <"$list"
  if [ ${#missing[@]} -gt 0 ]; then
    echo "$1: still to come: ${missing[*]}"
    return 0
  fi
  (cd "$keep/pieces" && cut -d' ' -f3 "$1.list" | xargs cat | tar -C "$keep" -xJf -)
  (cd "$keep/pieces" && cut -d' ' -f3 "$1.list" | xargs rm)
  cp "$list" "$done"
  echo "$1: unpacked"
}
take base
take chromium
[ $# -gt 0 ] || exit 0

export DAWN_NODE=$keep/dawn.node
f16=${DAWN_TOGGLES-enable-dawn-features=vulkan_enable_f16_on_nvidia}
# With subgroup matrices, which browsers have behind a flag.
matrices=${DAWN_TOGGLES-enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia}
node=$keep/node
jspi=()
# Node 24 has it.
if "$node" --experimental-wasm-jspi -e 0 2>/dev/null; then jspi=(--experimental-wasm-jspi); fi
cli=("$node" --import ./bench/dawn-global.mjs .carry/runtime/dist/cli.js)
common=(.carry/runtime --packages "$keep/node_modules" --budget "${BUDGET:-8}"
  ${ENGINES:+--engines "$ENGINES"})
bench=("$node" "${jspi[@]}" --expose-gc bench/bench.mjs "${common[@]}")

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
      "$node" tests/kernels/run-wgsl.mjs --cases .carry/gpu-cases.jsonl | tee "$out/cases.txt" || true
      ;;
    conformance)
      node=$(mktemp -d) zoo=$(mktemp -d)
      tar -xJf tests/data/onnx-node.tar.xz -C "$node"
      tar -xJf tests/data/zoo.tar.xz -C "$zoo"
      "${cli[@]}" check "$node"/* --device webgpu --quiet --json "$out/onnx-node.json" || true
      "${cli[@]}" check "$zoo"/* --device webgpu --l2 1e-4 --rtol 1e-3 --atol 1e-3 --json "$out/zoo.json" || true
      ;;
    overhead)
      "$node" bench/overhead.mjs .carry/runtime .carry/models --json "$out/overhead.json"
      ;;
    profile)
      (cd "$out" && "$node" --cpu-prof --cpu-prof-interval 50 "$OLDPWD/bench/overhead.mjs" \
        "$OLDPWD/.carry/runtime" "$OLDPWD/.carry/models" --only silero --runs 4000)
      ;;
    kernels)
      DAWN_TOGGLES=$matrices "$node" bench/kernels.mjs .carry/runtime --only "${ONLY:-}" \
        --json "$out/kernels.json" || true
      DAWN_TOGGLES=$f16 "$node" bench/kernels.mjs .carry/runtime --only "${ONLY:-f16}" \
        --json "$out/kernels-plain.json" || true
      ;;
    tune)
      DAWN_TOGGLES=$matrices "$node" bench/kernels.mjs .carry/runtime --only "${ONLY:-}" --tune \
        --json "$out/tuned.json" || true
      DAWN_TOGGLES=$f16 "$node" bench/kernels.mjs .carry/runtime --only "${ONLY:-f16}" --tune \
        --json "$out/tuned-plain.json" || true
      ;;
    bench)
      DAWN_TOGGLES=$f16 "${bench[@]}" ${ONLY:+--models "$ONLY"} --json "$out/bench.json" || true
      ;;
    page)
      CHROMIUM=$keep/chromium/run XDG_RUNTIME_DIR=/tmp DBUS_SESSION_BUS_ADDRESS=disabled: \
        "$node" bench/page.mjs "${common[@]}" ${ONLY:+--models "$ONLY"} \
        --limit "${LIMIT:-240}" --json "$out/page.json" || true
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
    shares)
      for name in $(full_names); do
        export_model "$name" || continue
        DAWN_TOGGLES=$f16 timeout "${LIMIT:-240}" "${cli[@]}" profile "/tmp/full/$name.onnx" \
          >"$out/shares-$name.txt" 2>&1 || echo "$name: the profile ended with status $?"
      done
      ;;
    compile)
      for name in $(full_names); do
        export_model "$name" || continue
        for engine in quern ort-jspi; do
          DAWN_TOGGLES=$f16 timeout "${LIMIT:-240}" "$node" "${jspi[@]}" bench/compile.mjs .carry/runtime \
            --model "/tmp/full/$name.onnx" --engine $engine --packages "$keep/node_modules" --top 30 \
            --json "$out/compile-$name-$engine.json" >"$out/compile-$name-$engine.txt" ||
            echo "$name: $engine's programs ended with status $?"
        done
      done
      ;;
    *)
      echo "gpu-machine: no mode '$what'" >&2
      exit 2
      ;;
  esac
done
