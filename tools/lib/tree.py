"""Finds the source files of parts of the tree. A check of all files must not pass because there are none."""

CPP = (".h", ".cpp")


def find_files(root, *parts, suffixes=CPP):
    """The files of each part, at any depth, sorted. Exits if a part has no such file."""
    found = []
    for part in parts:
        of_part = sorted(path for path in (root / part).rglob("*")
                         if path.is_file() and path.suffix in suffixes and "node_modules" not in path.parts)
        if not of_part:
            raise SystemExit(f"no file in {part}/ ends in {' or '.join(suffixes)}")
        found += of_part
    return found
