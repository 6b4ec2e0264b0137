#!/usr/bin/env bash
# A project outside builds on the installed libraries, by find_package alone; the installed programs
# start.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$FBF_BUILD_DIR" --prefix "$work/prefix" >/dev/null
# A copy, so that nothing of ours is found by lying beside it.
cp -r "$FBF_SOURCE_DIR/tests/install/outside" "$work/outside"

# configure COMPONENTS [-D...]
configure() {
  rm -rf "$work/build"
  cmake -S "$work/outside" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCOMPONENTS="$1" "${@:2}"
}
build_and_run() {
  cmake --build "$work/build"
  "$work/build/outside"
}
# fails_to_configure MESSAGE COMPONENTS [-D...]: and says MESSAGE, in lines of whatever length
fails_to_configure() {
  if configure "${@:2}" >"$work/output" 2>&1; then
    echo "configured with the components '$2', which it should not" >&2
    exit 1
  fi
  if ! tr -s ' \n' ' ' <"$work/output" | grep -qF "$1"; then
    cat "$work/output"
    echo "it should say: $1" >&2
    exit 1
  fi
}

configure ""
build_and_run
configure "protocol;server"
build_and_run
# The protocol library needs neither the log's library nor that of the command line.
without=(-DCMAKE_DISABLE_FIND_PACKAGE_spdlog=ON -DCMAKE_DISABLE_FIND_PACKAGE_CLI11=ON)
configure protocol "${without[@]}"
if grep -rq spdlog "$work/build/CMakeFiles/outside.dir"; then
  echo "a user of the protocol library links spdlog" >&2
  exit 1
fi
build_and_run
fails_to_configure "the component server of FrameByFrame needs spdlog" server "${without[@]}"
fails_to_configure "the component server of FrameByFrame needs spdlog" "" "${without[@]}"
fails_to_configure "FrameByFrame has no component push" "protocol;push"

"$work/prefix/bin/wsd" --version
"$work/prefix/bin/wsc" --version
