#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""numpy doing real work: linear algebra, transforms, sorting, files."""
import sys

try:
    import numpy as np
except ImportError:
    print("python3-numpy is missing")
    sys.exit(77)
rng = np.random.default_rng(3)
a = rng.random((400, 400))
x = np.linalg.solve(a, np.ones(400))
print(np.allclose(a @ x, 1), np.allclose(np.linalg.inv(a) @ a, np.eye(400)))
u, s, v = np.linalg.svd(a[:100, :100])
print(np.allclose(u @ np.diag(s) @ v, a[:100, :100]))
f = np.fft.fft(rng.random(1 << 16))
print(np.allclose(np.fft.ifft(f).imag, 0), np.sort(rng.integers(0, 1000, 100000))[::20000].tolist())
np.save("a.npy", a)
m = np.load("a.npy", mmap_mode="r")
print(m.shape, float(m.sum()) == float(a.sum()), f"{a.mean():.6f}")
