#!/usr/bin/env bash
# On a machine with an NVIDIA GPU and nothing else of ours: Vulkan's loader from .gl/*.deb, Node and
# Dawn from .carry, then the conformance cases and the zoo on the GPU, and the overhead bench.
#   bench/gpu-machine.sh OUT [conformance] [overhead] [profile] [kernels]
# ONLY=TEXT,... limits kernels to names with one of these texts.
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
export DAWN_NODE=/tmp/n/dawn.node
f16=${DAWN_TOGGLES-enable-dawn-features=vulkan_enable_f16_on_nvidia}
cli=(/tmp/n/node --import ./bench/dawn-global.mjs .carry/runtime/dist/cli.js)
for what in "$@"; do
  case $what in
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
      DAWN_TOGGLES=$f16 /tmp/n/node bench/kernels.mjs .carry/runtime --only "${ONLY:-}" \
        --json "$out/kernels.json" || true
      ;;
  esac
done
