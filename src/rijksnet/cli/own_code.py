"""A project that holds the code runs its own: a second checkout, or the copy in which DVC tries an experiment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import rijksnet
from rijksnet.errors import RijksNetError

#: Set by the process that goes over to a project's own code, so that none does so twice.
GONE_OVER = "RIJKSNET_CODE_OF"


def run_the_code_of(project: Path) -> None:
    """Go over to the code in this folder's `src`, if it has some and another one was installed.

    An environment can be shared by several checkouts, but what it installs is one of them. The others would run that
    one's code, while their manifests and runs describe their own.

    Raises:
        RijksNetError: Python imports the other one nevertheless.
    """
    own, imported = project / "src" / "rijksnet" / "__init__.py", Path(rijksnet.__file__)
    if not own.is_file() or own.samefile(imported):
        return
    source = str(own.parents[1].resolve())
    if os.environ.get(GONE_OVER) == source:
        raise RijksNetError(
            f"this project's code is in {source}, but Python imports {imported.parent}: set PYTHONPATH={source}, or "
            "make this checkout an environment of its own (`make setup`)"
        )
    path = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ |= {"PYTHONPATH": path, GONE_OVER: source}
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "rijksnet", *sys.argv[1:]])
