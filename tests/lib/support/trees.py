"""A folder as programs see it, to be compared with another or with itself later."""

import hashlib
import os
import stat


def seen(root, times=False):
    """Kind, mode, links, and content or target of everything below, by path; in raw bytes, as names may be."""
    root, found = os.fsencode(str(root)), {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            about = os.lstat(path)
            entry = [oct(about.st_mode)]
            if stat.S_ISREG(about.st_mode):
                with open(path, "rb") as file:
                    entry += [about.st_nlink, about.st_size, hashlib.file_digest(file, "sha1").hexdigest()]
            elif stat.S_ISLNK(about.st_mode):
                entry.append(os.readlink(path))
            if times:
                entry.append(about.st_mtime_ns)
            found[os.path.relpath(path, root)] = tuple(entry)
    return found


def assert_same(one, other):
    """Says what differs, rather than showing two trees."""
    missing, more = sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys())
    changed = {path: (one[path], other[path]) for path in one.keys() & other.keys() if one[path] != other[path]}
    assert not (missing or more or changed), f"missing {missing[:9]}, more {more[:9]}, changed {dict(list(changed.items())[:9])}"
