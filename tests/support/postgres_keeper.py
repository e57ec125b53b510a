"""Stops the throw-away PostgreSQL server once nobody uses it any more, however its users ended.

Every process that uses the server holds the write end of one named pipe. The kernel closes that end when the process
ends, also by SIGKILL, so "end of file" here means: no user is left. No list of process ids, nothing to poll.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Runs apart from its parent. Arguments: pipe's descriptor, lock file, cluster folder, user id, `pg_ctl`."""
    descriptor, lock_file, cluster, user_id, pg_ctl = arguments
    if os.fork():
        os._exit(0)
    pipe = int(descriptor)
    while True:
        os.set_blocking(pipe, True)
        while os.read(pipe, 512):
            pass
        with Path(lock_file).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _somebody_came_back(pipe):
                continue
            os.close(pipe)
            _stop(Path(cluster), user_id=int(user_id), pg_ctl=pg_ctl)
            return


def _somebody_came_back(pipe: int) -> bool:
    os.set_blocking(pipe, False)
    try:
        return os.read(pipe, 512) != b""
    except BlockingIOError:
        return True


def _stop(cluster: Path, *, user_id: int, pg_ctl: str) -> None:
    subprocess.run(
        [pg_ctl, "stop", "--pgdata", str(cluster / "data"), "--mode", "immediate", "--wait"],
        user=user_id if os.getuid() == 0 else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    shutil.rmtree(cluster, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
