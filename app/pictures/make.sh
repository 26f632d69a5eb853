#!/usr/bin/env bash
#
# make.sh: renders the demo's pictures anew from the .html files beside it.
#
# The pictures are committed; this installs what it needs: Chromium, and fonts, Chinese among them.

set -euo pipefail
SCRIPT_NAME=pictures
# shellcheck source=tools/common.sh
. "$(dirname "$0")/../../tools/common.sh"

# shellcheck disable=SC2086
apt_install $APT_BROWSER
need_npm
node "$ROOT/app/pictures/make.mjs"
