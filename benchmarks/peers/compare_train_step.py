"""npgru and PyTorch, one training step of the same network, in processes of their own that run in turn.

    python compare_train_step.py --torch-python OTHER/bin/python [--network student] [--rounds 5]

OTHER: a virtual environment with requirements.txt; this script runs in npgru's. Before anything is timed, the losses
before and after one step must be equal. Prints the fastest and the median step of every program.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from npgru import model

# Relative errors of the loss, float32. Before the step we measure 7e-8. After it: Adam begins with ± learning_rate, so a
# gradient of about 0 goes either way by its rounding; npgru differs by 6e-5, PyTorch on 1 thread from itself on 2 by 5e-5.
LOSS_REL_ERROR, LOSS_AFTER_REL_ERROR = 1e-6, 3e-4
NETWORKS = {"teacher": model.teacher, "student": model.student}


def write_step(path, config, batch_size=32):
    """Weights and a batch like those of real clips, the same for every program."""
    rng = np.random.default_rng(7)
    params, _ = model.init(model.build(config, 32), rng)
    about = {"stride": config.conv_stride, "eps": config.batchnorm_eps, "n_blocks": len(config.block_filters),
             "pool_size": config.pool_size, "input_scale": config.input_scale, "dropout": config.dropout}
    np.savez(path, **params, x=rng.integers(200, 800, (batch_size, 84, 32)).astype(np.float32),
             y=np.arange(batch_size) % 2, about=np.frombuffer(json.dumps(about).encode(), np.uint8))


def programs(args, step):
    """Name -> command line of every program."""
    torch = [args.torch_python, Path(__file__).with_name("torch_step.py"), step]
    ours = [sys.executable, Path(__file__).with_name("npgru_step.py"), step, "--network", args.network]
    return {"PyTorch, 2 threads": [*torch, "--threads", "2"], "PyTorch, 2 threads, plain": [*torch, "--threads", "2", "--plain"],
            "PyTorch, 1 thread": [*torch, "--threads", "1"],
            "npgru C, 2 threads": [*ours, "--threads", "2"], "npgru C, 1 thread": [*ours, "--threads", "1"],
            "npgru NumPy": [*ours, "--backend", "numpy"]}


def run(command):
    """One run of a program -> its losses and milliseconds."""
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", required=True)
    parser.add_argument("--network", choices=NETWORKS, default="teacher")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        step = Path(folder) / "step.npz"
        write_step(step, NETWORKS[args.network]())
        commands = programs(args, step)
        ms = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                found = run(command)
                expected = found["losses"] if name == next(iter(commands)) else expected
                for k, tolerance in enumerate((LOSS_REL_ERROR, LOSS_AFTER_REL_ERROR)):
                    np.testing.assert_allclose(found["losses"][k], expected[k], rtol=tolerance, err_msg=name)
                ms[name].append(found["ms"])
    fastest = {name: min(min(steps) for steps in rounds) for name, rounds in ms.items()}
    print(f"{args.network}, batch 32; losses before and after one step {expected}")
    for name, rounds in ms.items():
        median = float(np.median([np.median(steps) for steps in rounds]))
        print(f"{name:<28} fastest {fastest[name]:7.2f} ms   median {median:7.2f} ms   {32e3 / median:7.0f} samples/s")


if __name__ == "__main__":
    main()
