"""The map in npgru's docstring is true: every module is in it, in an order in which each imports only those above."""
import ast
import re
from pathlib import Path

import npgru

PACKAGE = Path(npgru.__file__).parent
MAP = re.findall(r"^    (\w+)  +\S", npgru.__doc__, re.MULTILINE)


def imported_modules(path):
    """Names of npgru modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("npgru.")}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").removeprefix("npgru").removeprefix(".")
            if node.level == 0 and not (node.module or "").startswith("npgru"):
                continue
            if node.level == 1 and path.parent != PACKAGE:             # a neighbour inside a package of the map
                continue
            names |= {module.split(".")[0]} if module else {alias.name for alias in node.names}
    return {name for name in names if (PACKAGE / f"{name}.py").is_file() or (PACKAGE / name).is_dir()}


def test_every_module_is_in_the_map():
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"} | {"layers", "commands"}
    assert modules == set(MAP) and len(MAP) == len(set(MAP))


def test_a_module_imports_only_modules_above_it():
    for k, name in enumerate(MAP):
        files = [PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").is_file() else sorted((PACKAGE / name).glob("*.py"))
        for path in files:
            below = imported_modules(path) - set(MAP[:k]) - {name}
            assert not below, f"{path.name} imports {below}, which the map has below it"


def test_layers_import_only_each_other():
    for path in (PACKAGE / "layers").glob("*.py"):
        modules = re.findall(r"^from \.(\w*) import", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert all((PACKAGE / "layers" / f"{name}.py").is_file() for name in modules), path.name


def test_every_layer_has_its_test():
    tests = {path.stem.removeprefix("test_") for path in (Path(__file__).parent / "layers").glob("test_*.py")}
    assert tests == {path.stem for path in (PACKAGE / "layers").glob("*.py")} - {"__init__"}


def test_the_map_of_the_readme_is_the_same():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert all(line in readme for line in npgru.__doc__.splitlines() if re.match(r"    \w+  +\S", line))


def test_public_names_exist():
    assert all(getattr(npgru, name) is not None for name in npgru.__all__)


def test_every_command_module_is_on_the_command_line():
    from npgru import cli
    modules = {path.stem for path in (PACKAGE / "commands").glob("*.py")} - {"__init__", "options", "terminal"}
    assert {command.__name__.split(".")[-1] for command in cli.COMMANDS} == modules
