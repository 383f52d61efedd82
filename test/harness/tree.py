"""What a tree has, one JSON line a name: tree.py FOLDER [PID]. With PID the folder is that of a process in a sandbox, seen by its own root."""
import ctypes, hashlib, json, os, stat, sys

folder, pid = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
# Where sandboxes have mounts of their own, and what they make.
left_out = {b'proc', b'sys', b'dev', b'etc'}


def enter(pid):
    """All that is needed afterwards is loaded before: there is no Python in there."""
    spaces = [os.open(f'/proc/{pid}/ns/{name}', os.O_RDONLY) for name in ('user', 'mnt')]
    root = os.open(f'/proc/{pid}/root', os.O_RDONLY | os.O_DIRECTORY)
    libc = ctypes.CDLL(None, use_errno=True)
    hashlib.sha256()
    for space in spaces:
        if libc.setns(space, 0) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
    os.setgid(0)
    os.setuid(0)
    os.fchdir(root)
    os.chroot('.')


def names(folder):
    for entry in sorted(os.listdir(folder)):
        if folder == b'.' and entry in left_out:
            continue
        path = os.path.join(folder, entry)
        yield path
        if stat.S_ISDIR(os.lstat(path).st_mode):
            yield from names(path)


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.sha256(file.read()).hexdigest()


def described(path):
    facts = os.lstat(path)
    kind = stat.S_IFMT(facts.st_mode)
    is_dir = kind == stat.S_IFDIR
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in os.listxattr(path, follow_symlinks=False)}
    return {
        'path': path.decode('latin1'),
        'mode': oct(facts.st_mode),
        'owner': [facts.st_uid, facts.st_gid],
        'size': None if is_dir else facts.st_size,
        'time': facts.st_mtime_ns // 10**9,
        'device': facts.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else None,
        # Names that show and are one file; the count may include some that no longer show.
        'file': None if is_dir or facts.st_nlink < 2 else (facts.st_dev, facts.st_ino),
        'target': os.readlink(path).decode('latin1') if kind == stat.S_IFLNK else None,
        'sha256': digest(path) if kind == stat.S_IFREG else None,
        'xattrs': {name: value for name, value in sorted(xattrs.items()) if not name.startswith('trusted.overlay.')},
    }


if pid:
    enter(pid)
os.chdir(folder)
tree = [described(path) for path in names(b'.')]
linked = {}
for entry in tree:
    if entry['file']:
        linked.setdefault(entry['file'], []).append(entry['path'])
for entry in tree:
    same = linked.get(entry.pop('file'), [])
    print(json.dumps({**entry, 'links': same if len(same) > 1 else None}))
