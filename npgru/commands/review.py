"""npgru review."""
from pathlib import Path

from .options import add_command, chosen, selection_options
from .terminal import progress_bar, tell_problems


def run(args) -> int:
    from .. import review
    found, output = chosen(args), Path(args.output)
    if args.label:
        found = [detection._replace(species=args.label) for detection in found]
    problems = review.write_page(found, output, args.pad, output.stem, progress_bar)
    tell_problems([], problems)
    print(f"{output}: {len(found) - len(problems)} detections, {output.stat().st_size / 1e6:.1f} MB; open it in a browser. "
          "Keys: A accepts, R rejects, space plays, arrows move, U takes back")
    return 0


def add(commands) -> None:
    p = add_command(
        commands, "review", run, "Write a page in which you listen to detections and accept or reject each.",
        "DETECTIONS: a table that `npgru detect` wrote (csv, parquet or Raven table), or its folder",
        "PAGE, one HTML file that needs no network; it saves your decisions as a CSV file for `npgru train` (rejected ones\n"
        "        become negatives) and `npgru calibrate`",
        "npgru review detections -o review.html --number 200")
    p.add_argument("-o", "--output", required=True, metavar="PAGE", help="the .html file to write")
    p.add_argument("--label", metavar="NAME", help="what accepted clips are called in the CSV file: the class of your other "
                   "training data (default: the species of the table)")
    selection_options(p, choose="spread", pad_s=1.0)
