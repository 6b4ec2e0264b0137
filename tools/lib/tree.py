"""The files of some parts of the tree, at any depth. What checks each of them must not pass because it saw none."""

CPP = (".h", ".cpp")


def find_files(root, *parts, suffixes=CPP):
    """In order, part by part. Ends the program if a part has no such file."""
    found = []
    for part in parts:
        of_part = sorted(path for path in (root / part).rglob("*")
                         if path.is_file() and path.suffix in suffixes and "node_modules" not in path.parts)
        if not of_part:
            raise SystemExit(f"no file in {part}/ ends in {' or '.join(suffixes)}")
        found += of_part
    return found
