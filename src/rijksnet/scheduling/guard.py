"""Runs a command, and ends it with whoever started it: guard.py COMMAND...

The starter holds the other end of standard input. When that closes, for the starter wants it or is gone, or when a
signal asks for it, the command is interrupted as by Ctrl-C, and killed if it does not end. Plain Python: it shall start
in no time.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

#: Seconds that an interrupted command has to end.
GRACE_S = 20

#: What a command's exit status is above when a signal ended it, as shells have it.
BY_SIGNAL = 128


def main() -> int:
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    ending = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda *_: ending.set())

    def wait_for_the_starter() -> None:
        os.read(sys.stdin.fileno(), 1)  # a buffered read would be in the way at exit
        ending.set()

    def end() -> None:
        ending.wait()
        for sign in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_S)
                break

    for what in (wait_for_the_starter, end):
        threading.Thread(target=what, daemon=True).start()
    status = child.wait()
    return status if status >= 0 else BY_SIGNAL - status


if __name__ == "__main__":
    sys.exit(main())
