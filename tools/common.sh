# Shared by ./dev and the scripts in tools/; to be sourced by bash.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=${QUERN_CACHE:-$HOME/.cache/quern}
JOBS=${QUERN_JOBS:-$(nproc)}
# shellcheck source=tools/versions.env
. "$ROOT/tools/versions.env"

say() { printf '%s: %s\n' "${SCRIPT_NAME:-dev}" "$*" >&2; }
die() {
  printf '%s: error: %s\n' "${SCRIPT_NAME:-dev}" "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# version_ge HAVE WANT: true where HAVE is WANT or newer.
version_ge() { printf '%s\n' "$2" "$1" | sort -CV; }

# ------------------------------------------------------------- Debian packages --
installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# apt_install PKG...: from the system's own sources; no-op for what is there.
apt_install() {
  local missing=() p
  for p in "$@"; do installed "$p" || missing+=("$p"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  is_root || die "these Debian packages are missing: ${missing[*]}
  run as root:  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}
  and then this script again"
  say "apt-get install ${missing[*]}"
  local cmd=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 -qq "${missing[@]}")
  export DEBIAN_FRONTEND=noninteractive
  if ! "${cmd[@]}" >&2; then
    say 'trying again after apt-get update'
    apt-get update -qq >&2 || die 'apt-get update failed (is the Debian mirror reachable?)'
    "${cmd[@]}" >&2 || die "apt-get could not install: ${missing[*]}"
  fi
}

# ------------------------------------------------------------------- Emscripten --
# use_emscripten: exports EMSCRIPTEN_ROOT as ./dev setup found it.
use_emscripten() {
  local file=$CACHE/emscripten.env
  [ -s "$file" ] || die "Emscripten is not set up: run ./dev setup"
  EMSCRIPTEN_ROOT=$(sed -n 's/^EMSCRIPTEN_ROOT=//p' "$file")
  [ -e "$EMSCRIPTEN_ROOT/emcc.py" ] || die "no Emscripten in $EMSCRIPTEN_ROOT: run ./dev setup"
  export EMSCRIPTEN_ROOT
}

# ----------------------------------------------------------------------- builds --
# expand_presets NAME...: "wasm" stands for the two modules that every page may need.
expand_presets() {
  local p
  for p in "$@"; do
    case $p in
      wasm) echo wasm-core wasm-cpu ;;
      wasm-all) echo wasm-core wasm-cpu wasm-threads ;;
      *) echo "$p" ;;
    esac
  done
}

# cmake_build PRESET [TARGET...]: configures and builds; one at a time in each build folder.
cmake_build() {
  local preset=$1
  shift
  case $preset in wasm-*) use_emscripten ;; esac
  mkdir -p "$ROOT/build"
  (
    flock -w 3000 9 || die "another build holds build/$preset"
    cd "$ROOT" || exit 1
    # Ninja configures again by itself, unless the presets changed.
    if [ ! "build/$preset/build.ninja" -nt CMakePresets.json ]; then
      cmake --preset "$preset" >"build/$preset.log" 2>&1 || {
        cat "build/$preset.log" >&2
        die "cmake --preset $preset failed"
      }
    fi
    local args=()
    [ $# -eq 0 ] || args=(--target "$@")
    cmake --build "build/$preset" -j "$JOBS" "${args[@]}"
  ) 9>"$ROOT/build/.$preset.lock"
}

need_npm() { [ -d "$ROOT/node_modules/typescript" ] || die 'npm packages are missing: run ./dev setup'; }

# build_runtime: the npm package's TypeScript, by its own build script.
build_runtime() {
  need_npm
  if [ ! -f "$ROOT/runtime/package.json" ]; then
    say 'runtime/ is not there yet: skipped'
    return 0
  fi
  mkdir -p "$ROOT/build"
  (
    flock -w 600 9 || die 'another build of runtime/ is going on'
    cd "$ROOT" && npm run --silent build --workspace runtime
  ) 9>"$ROOT/build/.runtime.lock"
}

# use_vulkan: without a GPU's own driver, Dawn and wgpu draw on Chromium's SwiftShader.
use_vulkan() {
  local icd
  icd=$(node "$ROOT/tools/lib/vulkan.mjs")
  [ -z "$icd" ] || export VK_ICD_FILENAMES=$icd
}

# cpp_files: all C++ files of the repository, NUL-terminated, for xargs -0.
cpp_files() {
  git -C "$ROOT" ls-files -z --cached --others --exclude-standard -- '*.cc' '*.h' |
    while IFS= read -r -d '' f; do [ ! -f "$ROOT/$f" ] || printf '%s\0' "$f"; done
}

# install_packages FOLDER: the npm packages of a project of its own, unless they are there.
install_packages() {
  local folder=$ROOT/$1 stamp
  stamp=$(cat "$folder/package.json" "$folder/package-lock.json" | sha256sum | cut -d ' ' -f 1)
  if [ "$(cat "$folder/node_modules/.stamp" 2>/dev/null)" = "$stamp" ]; then return 0; fi
  say "npm ci in $1"
  npm ci --prefix "$folder" --no-progress --loglevel=error >&2
  echo "$stamp" >"$folder/node_modules/.stamp"
}
