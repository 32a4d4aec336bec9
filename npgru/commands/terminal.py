"""What people see beside the result, on standard error."""
import sys


def progress_bar(iterable, **about):
    """tqdm on standard error: from half a second on, and seldom where nobody watches (a log file)."""
    from tqdm import tqdm
    return tqdm(iterable, leave=False, delay=0.5, mininterval=0.1 if sys.stderr.isatty() else 10, **about)


def note(text: str) -> None:
    """One line for people, beside the result."""
    print(f"npgru: {text}", file=sys.stderr)


def tell_problems(notices, problems) -> None:
    """What is worth knowing of the data; the clips that were left out, each with its reason, and their count."""
    for text in [*notices, *(f"skipped {problem}" for problem in problems)]:
        note(text)
    if problems:
        note(f"{len(problems)} skipped, see above")
