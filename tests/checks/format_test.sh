#!/usr/bin/env bash
# Every C++ file is as clang-format 14 with our .clang-format writes it (other versions differ in
# places).
set -euo pipefail
cd "$FBF_SOURCE_DIR"
# One file at a time, and of each its first difference.
find protocol server tools tests -name node_modules -prune -o \
  \( -name '*.h' -o -name '*.cpp' \) -print0 |
  xargs -0 --max-args=1 clang-format-14 --dry-run -Werror --ferror-limit=1 || {
  echo 'clang-format-14 -i FILE puts a file right'
  exit 1
}
