"""npgru, PyTorch and Keras train the same network on the same clips, in processes of their own that run in turn.

    python benchmarks/compare_training.py [--torch-python DIR/bin/python] [--keras-python DIR/bin/python] [--rounds 5]

DIR: virtual environments with peers/requirements-torch.txt and -keras.txt; this script runs in npgru's. Before anything is
timed, the losses before and after one step must be equal. Appends to results.csv, and writes training.json and training.svg.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import rc_context

import record
from npgru import bench_train, costs, figures, machine, model

# Relative errors of the loss, float32. Before the step we measure 1e-7. After it: Adam begins with ± learning_rate, so a
# gradient of about 0 goes either way by its rounding; npgru differs by 6e-5, PyTorch on 1 thread from itself on 2 by 5e-5.
LOSS_REL_ERROR, LOSS_AFTER_REL_ERROR = 1e-6, 3e-4
FOLDER = Path(__file__).resolve().parent


def write_step(path, config, n_clips):
    """Weights, clips, and the numbers of the network: the same for every program."""
    params, _ = model.init(model.build(config, bench_train.CLIP_SHAPE[1]), np.random.default_rng(7))
    data = bench_train.clips_like_real_ones(n_clips)
    about = {"stride": config.conv_stride, "eps": config.batchnorm_eps, "momentum": config.batchnorm_momentum,
             "n_blocks": len(config.block_filters), "pool_size": config.pool_size, "input_scale": config.input_scale,
             "dropout": config.dropout, "batch_size": bench_train.CONFIG.batch_size}
    np.savez(path, **params, x=data.x_train, y=data.y_train, about=np.frombuffer(json.dumps(about).encode(), np.uint8))


def programs(args, network):
    """Name -> command line, without the step, of every program that there is a Python for; npgru in C is the first."""
    peers, threads = FOLDER / "peers", str(machine.n_cores())
    found = {f"npgru, C, {threads} threads": [sys.executable, peers / "npgru_step.py", "--network", network, "--threads", threads],
             "npgru, C, 1 thread": [sys.executable, peers / "npgru_step.py", "--network", network, "--threads", "1"],
             "npgru, NumPy": [sys.executable, peers / "npgru_step.py", "--network", network, "--backend", "numpy"]}
    if args.torch_python:
        torch = [args.torch_python, peers / "torch_step.py", "--threads"]
        found |= {f"PyTorch, tuned, {threads} threads": [*torch, threads], f"PyTorch, {threads} threads": [*torch, threads, "--plain"],
                  "PyTorch, tuned, 1 thread": [*torch, "1"]}
    if args.keras_python:
        found[f"Keras, {threads} threads"] = [args.keras_python, peers / "keras_step.py", "--threads", threads]
    return found


def run(command, step):
    """One run of a program -> its losses, samples a second and version."""
    process = subprocess.run([*command[:2], step, *command[2:], "--runs", "1"], capture_output=True, text=True)
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{process.stderr}")
    return json.loads(process.stdout.splitlines()[-1])


def measure(args, network):
    """{program: {"version", "losses", "samples_per_s": one a round}}; all take turns in each round."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        step = Path(folder) / "step.npz"
        write_step(step, bench_train.NETWORKS[network](), args.clips)
        for k in range(args.rounds):
            for name, command in programs(args, network).items():
                result = run(command, step)
                expected = next(iter(found.values()), result)["losses"]
                for loss, right, tolerance in zip(result["losses"], expected, (LOSS_REL_ERROR, LOSS_AFTER_REL_ERROR)):
                    np.testing.assert_allclose(loss, right, rtol=tolerance, err_msg=name)
                known = found.setdefault(name, {**result, "samples_per_s": []})
                known["samples_per_s"] += result["samples_per_s"]
                print(f"{network}, round {k + 1} of {args.rounds}: {name:<28}{result['samples_per_s'][-1]:>8.0f} samples/s", flush=True)
    return found


def profile():
    """npgru bench train --by-layer of the teacher, in its own process."""
    command = [sys.executable, "-m", "npgru.cli", "bench", "train", "--by-layer", "--json", "--threads", str(machine.n_cores())]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rows_of(network, found):
    """Rows for results.csv: seconds a step."""
    for name, result in found.items():
        seconds = bench_train.CONFIG.batch_size / np.array(result["samples_per_s"])
        low, middle, high = np.percentile(seconds, (25, 50, 75))
        yield record.row(f"compare_training[{network}; {name}]", middle, high - low, len(seconds),
                         {"samples_per_s": round(bench_train.CONFIG.batch_size / middle), "version": result["version"]})


def draw(table):
    """training.json -> a figure: samples a second, GFLOP/s beneath the roof, time by layer."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(8.4, 5.6), dpi=figures.DPI, layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), height_ratios=(1.25, 1))
    speed, roofline, layers = (figure.add_subplot(place) for place in (grid[0, 0], grid[1, 0], grid[:, 1]))
    draw_speed(speed, table["networks"])
    draw_roofline(roofline, table)
    draw_layers(layers, table["by_layer"])
    return figure


def medians(found):
    """{program: samples a second}."""
    return {name: float(np.median(result["samples_per_s"])) for name, result in found.items()}


def draw_speed(axes, networks):
    """A bar for each program and network."""
    for k, (network, found) in enumerate(networks.items()):
        rates, colour = medians(found), (figures.BLUE, figures.ORANGE)[k]
        places = np.arange(len(rates)) + 0.2 * (2 * k - 1)
        axes.barh(places, rates.values(), 0.38, color=colour, label=network)
        for place, rate in zip(places, rates.values()):
            axes.annotate(f"{rate:.0f}", (rate, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(rates)), rates)
    axes.invert_yaxis()
    axes.set(xlabel="samples a second, a whole training step", xlim=(0, 1.17 * axes.get_xlim()[1]))
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right")


def draw_roofline(axes, table):
    """GFLOP/s of each program beneath what the machine can do."""
    for k, (network, found) in enumerate(table["networks"].items()):
        layers = model.build(bench_train.NETWORKS[network](), bench_train.CLIP_SHAPE[1])
        operations = sum(map(sum, costs.step_operations(layers, *bench_train.CLIP_SHAPE).values()))
        rates = {name: 1e-9 * rate * operations for name, rate in medians(found).items()}
        axes.plot(rates.values(), range(len(rates)), "os"[k], color=(figures.BLUE, figures.ORANGE)[k], markersize=6.5, label=network)
    for name, label, line in (("roof_gflops", "peak, multiply-adds", "-"), ("sgemm_gflops", "product of matrices, NumPy", (0, (2, 2)))):
        gflops = table["by_layer"][name]
        axes.axvline(gflops, color=figures.INK, linewidth=1.2, linestyle=line, label=f"{label}: {gflops:.0f}")
    axes.set_yticks(range(len(rates)), rates)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="GFLOP/s, and what the machine can do")
    axes.set_xlim(min(axes.get_xlim()[0], 9), 1.5 * table["by_layer"]["roof_gflops"])
    axes.minorticks_off()
    ticks = [n for n in (1, 3, 10, 30, 100, 300, 1000) if axes.get_xlim()[0] <= n <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, ticks)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.28), ncols=2, fontsize=8)


def draw_layers(axes, by_layer):
    """Milliseconds a step of each layer, forward and backward, and of the rest."""
    layers = [(row["name"], row["forward_ms"], row["backward_ms"]) for row in by_layer["layers"]]
    large = [row for row in layers if sum(row[1:]) > 0.01 * by_layer["ms_per_step"]]
    small = np.sum([row[1:] for row in layers if row not in large], axis=0)
    names, forward, backward = zip(*large, ("other layers", *small))
    axes.barh(names, forward, color=figures.GREEN, label="forward")
    axes.barh(names, backward, left=forward, color=figures.PURPLE, label="backward")
    axes.barh(list(by_layer["rest_ms"]), by_layer["rest_ms"].values(), color=figures.GREY, label="the rest")
    axes.invert_yaxis()
    axes.set(xlabel=f"ms of a step of {by_layer['ms_per_step']:.2f} ms")
    axes.set_title(f"{by_layer['model']}, C, {by_layer['threads']} threads", loc="left")
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.legend(loc="lower right")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python")
    parser.add_argument("--keras-python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=bench_train.N_CLIPS)
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder for results.csv and training.*")
    parser.add_argument("--draw", action="store_true", help="the figure alone, out of training.json")
    args = parser.parse_args()
    results = args.output / "training.json"
    if not args.draw:
        table = {"networks": {network: measure(args, network) for network in bench_train.NETWORKS}, "by_layer": profile()}
        results.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        record.append([row for network, found in table["networks"].items() for row in rows_of(network, found)],
                      args.output / "results.csv")
    with figures.style(), rc_context({"svg.fonttype": "none"}):                # text as text: a fifth of the bytes
        figure = draw(json.loads(results.read_text(encoding="utf-8")))
        results.with_suffix(".svg").write_bytes(figures.encoded(figure, "svg"))


if __name__ == "__main__":
    main()
