"""One thread for torch, here and in child processes.

Tiny models gain nothing from more, and on cores that others use too, two threads that wait for
each other at every step collapse to a tenth of the speed of one.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
