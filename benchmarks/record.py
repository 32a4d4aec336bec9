"""Run the benchmarks and append a row of each to results.csv: python benchmarks/record.py [pytest arguments].

Columns: date, commit, cpu, compiler, python, numpy, benchmark, median_s, iqr_s, rounds, figure (such as clips_per_s=12000).
"""
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
COLUMNS = ["date", "commit", "cpu", "compiler", "python", "numpy", "benchmark", "median_s", "iqr_s", "rounds", "figure"]


def output_of(*command):
    """First line that a command prints, "" if there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=FOLDER).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        return ""


def rows(report):
    """The rows of one pytest-benchmark report."""
    machine = report["machine_info"]
    about = {"date": report["datetime"][:10], "commit": output_of("git", "rev-parse", "--short", "HEAD"),
             "cpu": machine["cpu"].get("brand_raw", machine["processor"]), "compiler": output_of("cc", "--version"),
             "python": machine["python_version"], "numpy": np.__version__}
    for benchmark in report["benchmarks"]:
        stats = benchmark["stats"]
        yield {**about, "benchmark": benchmark["name"], "median_s": f"{stats['median']:.6g}", "iqr_s": f"{stats['iqr']:.3g}",
               "rounds": stats["rounds"], "figure": " ".join(f"{k}={v}" for k, v in benchmark["extra_info"].items())}


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        status = subprocess.run([sys.executable, "-m", "pytest", str(FOLDER), "-o", "addopts=", "-q", "--benchmark-only",
                                 f"--benchmark-json={report}", *sys.argv[1:]]).returncode
        if status:
            return status
        new = list(rows(json.loads(report.read_text(encoding="utf-8"))))
    results = FOLDER / "results.csv"
    first = not results.exists()
    with open(results, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if first:
            writer.writeheader()
        writer.writerows(new)
    print(f"{len(new)} rows appended to {results}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
