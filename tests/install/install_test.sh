#!/usr/bin/env bash
# A project outside builds on the installed libraries, by find_package alone; the installed programs
# start.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$FBF_BUILD_DIR" --prefix "$work/prefix" >/dev/null
# A copy, so that nothing of ours is found by lying beside it.
cp -r "$FBF_SOURCE_DIR/tests/install/outside" "$work/outside"
cmake -S "$work/outside" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build"
"$work/build/outside"

"$work/prefix/bin/wsd" --version
"$work/prefix/bin/wsc" --version
