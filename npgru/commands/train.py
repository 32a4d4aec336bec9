"""npgru train."""
import json
from pathlib import Path

from .options import STAGES, add_command, data_options, positive, whole, stages
from .terminal import note, progress_bar, tell_problems


def configured(args):
    """Defaults, then --config, then --set, then the options of their own -> Recipe."""
    from .. import config, recipe
    table = config.read_toml(args.config) if args.config else {}
    table.pop("data", None)                                       # a run's config.toml says what it was trained on
    if args.start is not None:
        config.set_option(table, f"fine_tune.start={json.dumps(args.start)}")
    for assignment in args.set:
        config.set_option(table, assignment)
    for name in ("seed", "target", "also"):
        if getattr(args, name) is not None:
            table[name] = getattr(args, name)
    return config.updated(recipe.Recipe(), table)


def run(args) -> int:
    from .. import config, recipe, synth
    from ..backend import Backend
    plan = configured(args)
    if args.print_config:
        print(config.to_toml(plan), end="")
        return 0
    run = Path(args.output)
    synth.check_request(args.clips, plan.seed)
    data_name = args.data or f"synthetic corpus of {args.clips} clips"
    recipe.check_run_folder(run, plan, data_name)
    unfinished = [stage for stage in args.stages if not recipe.stage_path(run, stage).is_file()]
    if not unfinished:
        note(f"{run}: {', '.join(args.stages)} finished before; nothing to do")
        return 0
    for stage in unfinished:
        if begun := recipe.beginning(plan, stage):
            note(f"{stage} begins with the weights of {begun[0]}")
    folder = Path(args.data or run / "synthetic_corpus")
    if not args.data:
        recipe.start_run_folder(run, plan, data_name)
        synth.write_corpus(folder, args.clips, plan.seed, progress=progress_bar)
    loaded = recipe.load_data(plan, folder, args.threads, args.strict, progress_bar)
    tell_problems(loaded.notices, loaded.problems)
    recipe.start_run_folder(run, plan, data_name)
    data = loaded.data
    print(f"{len(data.y_train)} training clips ({data.y_train.sum()} targets), {len(data.y_validation)} for validation "
          f"({data.y_validation.sum()} targets)", flush=True)
    for stage in unfinished:
        path = recipe.run_stage(run, stage, plan, loaded, tell_epoch, Backend(args.backend, args.threads))
        print(f"finished: {path}", flush=True)
    print(f"next: npgru evaluate {run} {folder} --split Test_Set")
    return 0


def tell_epoch(stage: str, state, n_epochs: int) -> None:
    """One line an epoch."""
    row = state.history[-1]
    print(f"{stage:<8} epoch {row['epoch']:>3}/{n_epochs}  loss {row['loss']:.4f}  validation loss "
          f"{row['validation_loss']:.4f}  average precision {row['validation_average_precision']:.4f}  "
          f"(kept: {state.best_score:.4f} of epoch {state.best_epoch})", flush=True)


def add(commands) -> None:
    p = add_command(
        commands, "train", run, "Train a detector on a folder of sound files.",
        "DATA: Training_Set|Validation_Set|Test_Set/<Target>|Negatives/*.wav, one folder per class, or a CSV manifest\n"
        "        (path,label[,split,start_s,end_s,recording]); without DATA a synthetic corpus is written and used",
        "RUN: config.toml, environment.toml, log.csv, checkpoints/*.npz. The same command resumes a stopped run",
        "npgru train recordings -o run --seed 1")
    p.add_argument("data", nargs="?", metavar="DATA", help="folder or .csv file; none: a synthetic corpus in RUN")
    p.add_argument("-o", "--output", default="npgru_run", metavar="RUN", help="the run's folder (default: %(default)s)")
    p.add_argument("--stages", type=stages, default=list(STAGES), metavar="LIST",
                   help=f"of {', '.join(STAGES)} (default: all); calibrate quantises without training; a finished one "
                   "is not repeated")
    p.add_argument("--seed", type=whole, metavar="S", help="of every random number (default: 0)")
    p.add_argument("--also", metavar="CSV", help="a manifest of further clips to learn from, such as the decisions that a "
                   "page of `npgru review` saved")
    p.add_argument("--from", dest="start", metavar="MODEL", help="a run folder or a checkpoint (.npz): the teacher, the "
                   "student or both begin with its weights, for fewer epochs in smaller steps (fine_tune.epochs, "
                   "fine_tune.learning_rate): for few clips of your own of the same species")
    p.add_argument("--clips", type=positive, default=512, metavar="N",
                   help="training clips of the synthetic corpus, when there is no DATA (default: %(default)s)")
    p.add_argument("--config", metavar="FILE", help="TOML configuration; options not in it keep their defaults")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                   help="one option of the configuration, for example teacher.training.epochs=10 (several allowed)")
    p.add_argument("--backend", choices=["c", "numpy"], help="what trains: the C kernels or the NumPy layers; their last bits "
                   "differ (default: c where it is built)")
    p.add_argument("--print-config", action="store_true", help="print the configuration as TOML and stop")
    data_options(p)
