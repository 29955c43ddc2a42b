"""Which texts resemble each other: words as columns of numbers, shared frames, ROUGE-L and
MinHash, exact and at the speed of the data.

Rooms say what likeness means for them; this one finds it. The kernels are compiled by numba on
the first call on a machine (:mod:`llamaduo.likeness.compiled`).
"""
