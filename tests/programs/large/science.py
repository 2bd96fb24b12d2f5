#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""numpy, pandas, scipy, matplotlib, scikit-learn and torch on the cpu: threads, processes, files."""
import os
import sys

missing = []
for package in "numpy", "pandas", "scipy", "matplotlib", "sklearn", "torch":
    try:
        __import__(package)
    except ImportError:
        missing.append(package)
if missing:
    print("missing: " + ", ".join(missing))
    sys.exit(77)

import matplotlib
import numpy as np
import pandas as pd
import scipy.integrate
import scipy.optimize
import scipy.sparse.linalg
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

matplotlib.use("agg")
import matplotlib.pyplot as plt

r = np.random.default_rng(1)
a = r.random((300, 300))
print("solve", np.allclose(a @ np.linalg.solve(a, np.ones(300)), 1), np.linalg.svd(a)[1].shape)
m = np.memmap("m", dtype="f8", mode="w+", shape=(1000, 100))
m[:] = 2
m.flush()
print("memmap", np.fromfile("m").sum())
df = pd.DataFrame({"k": list("abc") * 1000, "v": range(3000)})
df.to_csv("f.csv.gz")
print("pandas", pd.read_csv("f.csv.gz").groupby("k").v.sum().to_dict(), len(df.merge(df, on="v")))
print("scipy", round(scipy.optimize.brentq(np.cos, 0, 3), 6), round(scipy.integrate.quad(np.exp, 0, 1)[0], 6),
      scipy.sparse.linalg.spsolve(scipy.sparse.eye(50, format="csc") * 2, np.ones(50)).sum())
fig, ax = plt.subplots()
ax.plot(range(10))
fig.savefig("p.png")
fig.savefig("p.pdf")
print("plot", os.path.getsize("p.png") > 5000, open("p.pdf", "rb").read(4))
x, y = load_digits(return_X_y=True)
print("forest", cross_val_score(RandomForestClassifier(20, random_state=0, n_jobs=2), x, y, n_jobs=2, cv=3).mean() > 0.9)
torch.manual_seed(0)
torch.set_num_threads(2)
net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
data = torch.utils.data.TensorDataset(torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y))
load = torch.utils.data.DataLoader(data, batch_size=64, num_workers=2)
opt = torch.optim.Adam(net.parameters(), 0.01)
for _ in range(3):
    for bx, by in load:
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(bx), by)
        loss.backward()
        opt.step()
torch.save(net.state_dict(), "n.pt")
net.load_state_dict(torch.load("n.pt"))
print("torch", (net(data.tensors[0]).argmax(1) == data.tensors[1]).float().mean().item() > 0.85, torch.get_num_threads())


def rank(r, port):
    torch.distributed.init_process_group("gloo", init_method="tcp://127.0.0.1:%d" % port, rank=r, world_size=2)
    t = torch.ones(1) * (r + 1)
    torch.distributed.all_reduce(t)
    if r == 0:
        print("gloo", t.item(), flush=True)


sys.stdout.flush()
if torch.distributed.is_available() and torch.distributed.is_gloo_available():
    torch.multiprocessing.start_processes(rank, (18140,), nprocs=2, start_method="fork")
