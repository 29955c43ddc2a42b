"""What makes the suite the same on a busy machine as on an idle one.

One thread for torch, here and in child processes: tiny models gain nothing from more, and on
cores that others use too, two threads that wait for each other at every step collapse to a tenth
of the speed of one. And no time limit on each of hypothesis's examples.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("llamaduo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("llamaduo")
