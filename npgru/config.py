"""Configuration: frozen dataclasses with defaults on one side, TOML on the other."""
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import tomli_w

try:
    import tomllib
except ModuleNotFoundError:                       # Python 3.10
    import tomli as tomllib


class ConfigError(ValueError):
    """One line: which option or file, what was found, what is accepted, what to do."""


def updated(base, table: dict, where: str = ""):
    """A frozen dataclass with the values of a (nested) table put in; types are those of the defaults.

    raises  ConfigError naming the option for an unknown one, a wrong type or a value out of range.
    """
    changes = {}
    for key, value in table.items():
        name, known = f"{where}{key}", [f.name for f in fields(base)]
        if key not in known:
            raise ConfigError(f"option {name} is not known; accepted here: {', '.join(known)}")
        default = getattr(base, key)
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if is_dataclass(default) and isinstance(value, dict):
            value = updated(default, value, f"{name}.")
        elif isinstance(default, tuple) and isinstance(value, list):
            value = tuple(type(default[0])(v) if default and type(v) is int else v for v in value)
        elif type(value) is not type(default):
            raise ConfigError(f"option {name}={value!r} is of the wrong kind; accepted: a {kind_name(default)}, "
                              f"for example {name} = {example(default)}")
        changes[key] = value
    try:
        return replace(base, **changes)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"in [{where.rstrip('.') or 'top level'}]: {error}") from error


def kind_name(default) -> str:
    """What a user calls the type of an option."""
    if is_dataclass(default):
        return "table"
    return {bool: "true or false", int: "whole number", float: "number", str: "text", tuple: "list"}[type(default)]


def example(default) -> str:
    """The default as TOML."""
    return "{...}" if is_dataclass(default) else tomli_w.dumps({"x": as_table(default)}).split("=", 1)[1].strip()


def as_table(value):
    """Dataclasses and tuples as what TOML knows: tables and lists."""
    if is_dataclass(value):
        return {f.name: as_table(getattr(value, f.name)) for f in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def read_toml(path: Path) -> dict:
    """A TOML file as a table; raises ConfigError naming the file."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; `npgru train --print-config` prints one to start from") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: is not readable as TOML ({error}); `npgru train --print-config` prints one") from error


def set_option(table: dict, assignment: str) -> None:
    """Put "teacher.training.epochs=5" into a nested table; the value is TOML, or text when it is not."""
    key, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment}: accepted: KEY=VALUE, for example --set teacher.training.epochs=5")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.strip().split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {assignment}: {parent} is not a table")
    table[last] = value


def first_difference(old: dict, new: dict, where: str = "") -> str:
    """The first option of two nested tables that differs, as "name = old (now new)", or ""."""
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            if found := first_difference(a, b, f"{where}{key}."):
                return found
        elif a != b:
            return f"{where}{key} = {a!r} (now {b!r})"
    return ""


def to_toml(base) -> str:
    """A dataclass as TOML text, which `updated` takes back."""
    return tomli_w.dumps(as_table(base))
