"""npgru's training for compare_training.py: python npgru_step.py STEP.npz [--threads N] [--runs N] [--backend numpy].

Prints JSON: the loss without dropout before and after one step, and samples a second of every epoch of the real loop, after
one that is not counted.
"""
import argparse
import json
from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from npgru import __version__, bench_train
from npgru.backend import Backend
from npgru.train import TrainingData


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--network", choices=bench_train.NETWORKS, default="teacher")
    parser.add_argument("--backend", choices=["c", "numpy"], default="c")
    args = parser.parse_args()
    arrays = dict(np.load(args.step))
    x, y, about = (arrays.pop(name) for name in ("x", "y", "about"))
    n, config = json.loads(about.tobytes())["batch_size"], bench_train.NETWORKS[args.network]()

    def start(config, x, y):
        data = TrainingData(x, y, x[:0], y[:0])
        return bench_train.start(config, Backend(args.backend, args.threads), data, arrays)

    with threadpool_limits(1):
        check, bench = start(replace(config, dropout=0.0), x[:n], y[:n]), start(config, x, y)
        losses = [check.epoch()[0] for _ in range(2)]
        seconds = [bench.epoch()[1] for _ in range(args.runs + 1)][1:]
    print(json.dumps({"losses": losses, "samples_per_s": [len(x) / s for s in seconds], "version": f"npgru {__version__}"}))


if __name__ == "__main__":
    main()
