"""Language cores in 8 bits, with an adapter merged in: made once, and kept among the caches."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.core.settings import settings
from tools.storage import atomic


def written_once(folder: str, parts: Sequence[str], write: Callable[[Path], None]) -> Path:
    """Return the file that is named after hashes; written unless it is there, once, however many processes ask for it.

    Args:
        folder: Its folder in the home of the settings.
        parts: What the file is made from; another part gives another file.
        write: Writes it.

    Raises:
        WriteError: It cannot be written.
    """
    key = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    file = settings().home / folder / f"{key[:32]}.safetensors"
    if file.exists():
        return file
    from filelock import FileLock

    lock = FileLock(file.with_suffix(".lock"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise atomic.write_error(error, file) from error
    try:
        if not file.exists():  # another process may have written it while this one waited
            with atomic.replace_file(file) as partial:
                write(partial)
    finally:
        lock.release()
    return file
