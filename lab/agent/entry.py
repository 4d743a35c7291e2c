"""Installed under three names on a host; which one it is called by says what it is.

A Python interpreter stands in for each upstream program (`Runner.Listener`, `Runner.Worker`, `node`), and its first
argument on a real host (`run`, `spawnclient`, `./bin/RunnerService.js`) is the file it executes: this one.
"""

import importlib
import os
import sys

PLACES = {
    "run": ("bin", "lab.agent.listener"),
    "spawnclient": (".", "lab.agent.worker"),
    "RunnerService.js": (".", "lab.agent.service"),
}

if __name__ == "__main__":
    here, name = os.path.split(os.path.abspath(__file__))
    place, module = PLACES[name]
    # First, so that no other `lab` can come before the one that was installed with this file.
    sys.path.insert(0, os.path.join(here, place))
    sys.exit(importlib.import_module(module).main())
