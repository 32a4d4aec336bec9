"""Run the benchmarks and append a row of each to results.csv: python benchmarks/record.py [pytest arguments].

Columns: date, commit, cpu, compiler, python, numpy, benchmark, median_s, iqr_s, rounds, figure (such as clips_per_s=12000).
"""
import csv
import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np

from npgru import machine

FOLDER = Path(__file__).resolve().parent
COLUMNS = ["date", "commit", "cpu", "compiler", "python", "numpy", "benchmark", "median_s", "iqr_s", "rounds", "figure"]


def output_of(*command):
    """First line that a command prints, "" if there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


def about():
    """The columns that say when, of what and on what was measured."""
    return {"date": date.today().isoformat(), "commit": output_of("git", "rev-parse", "--short", "HEAD"),
            "cpu": machine.processor(), "compiler": output_of("cc", "--version"), "python": platform.python_version(),
            "numpy": np.__version__}


def row(name, median_s, iqr_s, rounds, figure):
    """One measurement."""
    return {**about(), "benchmark": name, "median_s": f"{median_s:.6g}", "iqr_s": f"{iqr_s:.3g}", "rounds": rounds,
            "figure": " ".join(f"{key}={value}" for key, value in figure.items())}


def append(rows, results=FOLDER / "results.csv"):
    """Rows of `row` to the end of a file."""
    first = not results.exists()
    with open(results, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if first:
            writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows appended to {results}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        status = subprocess.run([sys.executable, "-m", "pytest", str(FOLDER), "-o", "addopts=", "-q", "--benchmark-only",
                                 f"--benchmark-json={report}", *sys.argv[1:]]).returncode
        if status:
            return status
        benchmarks = json.loads(report.read_text(encoding="utf-8"))["benchmarks"]
    append([row(b["name"], b["stats"]["median"], b["stats"]["iqr"], b["stats"]["rounds"], b["extra_info"]) for b in benchmarks])
    return 0


if __name__ == "__main__":
    sys.exit(main())
