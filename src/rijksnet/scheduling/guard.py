"""Runs a command, and ends it with whoever started it: guard.py COMMAND...

The starter holds the other end of standard input. When that closes, for the starter wants it or is gone, the command is
interrupted as by Ctrl-C, and killed if it does not end. Plain Python: it shall start in no time.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

#: Seconds that an interrupted command has to end.
GRACE_S = 20


def main() -> int:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)

    def watch() -> None:
        os.read(sys.stdin.fileno(), 1)  # a buffered read would be in the way at exit
        for sign in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_S)
                break

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
