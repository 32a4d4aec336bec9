"""The command line as a process, and a recipe small enough for tests."""
import subprocess
import sys
import time

SMALL = {"teacher.training.epochs": 3, "distil.training.epochs": 2, "prune.training.epochs": 2, "prune.pruning.every_steps": 2,
         "quantise.training.epochs": 2,
         "teacher.network.block_filters": [6], "distil.network.block_filters": [6]} | {
    f"{stage}.network.{size}": 4 for stage in ("teacher", "distil") for size in ("conv_filters", "gru_units", "dense_units")}
FAST = [text for option, value in SMALL.items() for text in ("--set", f"{option}={value}")]


def npgru(*args, **options):
    """Run the command line in a process of its own -> the finished process with its output as text."""
    command = [sys.executable, "-m", "npgru.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def stop(corpus, run, options, how, when):
    """Start a training, send it a signal once `when(run)` holds; returns the process and what it printed as errors."""
    process = subprocess.Popen([sys.executable, "-m", "npgru.cli", "train", *map(str, [corpus, "-o", run, *options])],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not when(run) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    return process, process.communicate(timeout=60)[1]


def contents(folder):
    """{relative path: bytes} of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
