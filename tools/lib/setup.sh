# shellcheck shell=bash
# Functions shared by the scripts in tools/: installing dependencies, configuring, building.
# To be sourced; changes to the top of the repository. Messages go to standard error.

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The system's tools come first: another cmake or python3 on the PATH would not find the libraries
# and modules of the system's packages.
PATH=/usr/bin:/bin:$PATH

build_packages=(g++ cmake ninja-build libssl-dev zlib1g-dev libspdlog-dev libfmt-dev libcli11-dev libpcap-dev)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# quietly COMMAND...: runs the command, and shows its output only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  ((status == 0)) || cat "$log" >&2
  rm -f "$log"
  return "$status"
}

# compiles_all PRESET PART...: fails unless each part has .cpp files and the preset compiles them all.
compiles_all() {
  local preset=$1 part file files
  shift
  for part in "$@"; do
    mapfile -t files < <(find "$part" -name '*.cpp')
    ((${#files[@]} > 0)) || die "no file in $part/ ends in .cpp"
    for file in "${files[@]}"; do
      grep -qF "\"$PWD/$file\"" "build/$preset/compile_commands.json" ||
        die "the preset $preset does not compile $file"
    done
  done
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# install_packages PACKAGE...: installs those of these Debian packages that are missing.
install_packages() {
  local package missing=()
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null ||
    die "please install what Debian calls: ${missing[*]} (this system has no apt-get to do it with)"
  ((EUID == 0)) || command -v sudo >/dev/null ||
    die "please install, as root (there is no sudo here): apt-get install ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  quietly as_root apt-get update || die "apt-get update failed"
  quietly as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing[@]}" || die "apt-get install failed"
}

# need PACKAGE... -- PROBE...: adds the packages to `wanted` if the command PROBE fails. It looks for
# a program or file, not for a Debian package, since that may have been installed in another way.
wanted=()
need() {
  local packages=()
  while [[ $1 != -- ]]; do
    packages+=("$1")
    shift
  done
  shift
  "$@" >/dev/null 2>&1 || wanted+=("${packages[@]}")
}

need_node() {
  need nodejs -- command -v node
  need npm -- command -v npm
}

# Installs the npm packages of tests/integration. npm writes .package-lock.json when it has finished.
install_npm_packages() {
  local modules=tests/integration/node_modules
  [[ ! $modules/.package-lock.json -nt tests/integration/package-lock.json ]] || return 0
  say "installing the npm packages of tests/integration"
  (cd tests/integration && quietly npm ci --no-audit --no-fund) || die "npm ci failed (above)"
}

# configure PRESET [CMAKE OPTION...]: runs cmake, unless it has been run since CMakePresets.json
# changed. ninja itself notices changes of a CMakeLists.txt.
configure() {
  local preset=$1 ninja_file=build/$1/build.ninja
  shift
  [[ -f $ninja_file && ! CMakePresets.json -nt $ninja_file ]] && return
  cmake --preset "$preset" "$@"
}

# configure_release [CMAKE OPTION...] -- PACKAGE...: installs missing packages only if configuring
# fails, since the dependencies may have been installed in another way.
configure_release() {
  local options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  shift
  if command -v apt-get >/dev/null; then
    configure release "${options[@]}" >/dev/null 2>&1 && return
    install_packages "$@"
    rm -rf build/release/CMakeCache.txt build/release/CMakeFiles  # they cache failed searches
  fi
  quietly configure release "${options[@]}" ||
    die "configuring failed (above). It needs what Debian calls: $*"
}

# build PRESET [TARGET...]
build() {
  local preset=$1 targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  quietly cmake --build "build/$preset" "${targets[@]}" ||
    die "the build in build/$preset failed (above)"
}

# prepare_namespace [PACKAGE...]: installs and builds what tools/lib/netns.py needs. PACKAGE: further
# packages, named like their programs.
prepare_namespace() {
  local package
  need_node
  need iproute2 -- command -v ip
  for package in "$@"; do need "$package" -- command -v "$package"; done
  install_packages "${wanted[@]}"
  install_npm_packages
  configure_release -DBUILD_TESTING=OFF -- "${build_packages[@]}"
  build release wsd article_server wstrace
}
