#!/usr/bin/env bash
#
# setup.sh [--no-browser]
#
# Makes a Debian 12 or 13 machine (with git, g++, cmake and Node 20) ready to build and test:
#   1. Debian packages: compiler, libraries, tools; then Chromium, fonts and espeak-ng for tests
#      (left out with --no-browser)
#   2. npm packages, by package-lock.json (no install script of any package is run)
#   3. Emscripten, in ${QUERN_CACHE:-~/.cache/quern}/emscripten where none is installed
# What is there is left alone: a second run takes a second.

set -euo pipefail
SCRIPT_NAME=setup
# shellcheck source=tools/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

browser=1
for arg in "$@"; do
  case $arg in
    --no-browser) browser=0 ;;
    *) sed -n '3,/^$/{s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
  esac
done

# ------------------------------------------------------------------------- tools --
for tool in git cmake node npm dpkg-query; do
  have "$tool" || die "$tool is missing: Debian 12 or 13 with git, g++, cmake and Node >= $NODE_MIN is needed"
done
version_ge "$(node -p process.versions.node)" "$NODE_MIN" ||
  die "node is $(node -v): $NODE_MIN or newer is needed"

say 'Debian packages to build'
# shellcheck disable=SC2086
apt_install $APT_BUILD
if [ $browser = 1 ]; then
  say 'Debian packages for browser tests'
  # shellcheck disable=SC2086
  apt_install $APT_BROWSER
fi

# --------------------------------------------------------------------------- npm --
manifests=(.npmrc package.json package-lock.json)
for f in runtime/package.json app/package.json; do [ ! -f "$f" ] || manifests+=("$f"); done
want=$(node -p process.version; cat "${manifests[@]}" | sha256sum)
if [ "$(cat node_modules/.quern-setup 2>/dev/null || true)" = "$want" ]; then
  say 'npm packages: there already'
else
  say 'npm ci'
  # onnxruntime-node's install script would download CUDA libraries; it is not run (.npmrc), and
  # would do nothing if it were.
  ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-progress --loglevel=error >&2
  printf '%s\n' "$want" >node_modules/.quern-setup
fi
install_packages tests/consumers

# -------------------------------------------------------------------- Emscripten --
mkdir -p "$CACHE"
env=$(tools/setup-emscripten.sh "$CACHE/emscripten")
if [ -z "$(sed -n 's/^EMSCRIPTEN_ROOT=//p' <<<"$env")" ]; then
  # Without em-config: emcc is a link into Emscripten's own folder.
  bin=$(sed -n 's/^EMSCRIPTEN_BIN=//p' <<<"$env")
  env="EMSCRIPTEN_BIN=$bin"$'\n'"EMSCRIPTEN_ROOT=$(dirname "$(readlink -f "$bin/emcc")")"
fi
printf '%s\n' "$env" >"$CACHE/emscripten.env"
say 'done'
