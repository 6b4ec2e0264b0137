#!/usr/bin/env bash
# Every C++ file is as clang-format 14 with our .clang-format writes it (other versions differ in
# places).
set -euo pipefail
cd "$FBF_SOURCE_DIR"
for part in protocol server tools tests; do
  mapfile -d '' -t files < <(find "$part" -name node_modules -prune -o \
    \( -name '*.h' -o -name '*.cpp' \) -print0)
  if ((${#files[@]} == 0)); then
    echo "no file in $part/ ends in .h or .cpp"
    exit 1
  fi
  # One file at a time, and of each its first difference.
  printf '%s\0' "${files[@]}" |
    xargs -0 --max-args=1 clang-format-14 --dry-run -Werror --ferror-limit=1 || {
    echo 'clang-format-14 -i FILE puts a file right'
    exit 1
  }
done
