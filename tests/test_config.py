"""Configuration: TOML in and out, and errors that name the option."""
from dataclasses import dataclass, field

import pytest

from npgru import config
from npgru.config import ConfigError
from npgru.recipe import Recipe


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    sizes: tuple = (1, 2)


@dataclass(frozen=True)
class Outer:
    epochs: int = 3
    name: str = "x"
    on: bool = True
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError(f"epochs={self.epochs}; accepted: at least 1")


def test_values_replace_defaults_at_any_depth():
    table = {"epochs": 5, "inner": {"rate": 1, "sizes": [3]}}
    assert config.updated(Outer(), table) == Outer(5, inner=Inner(1.0, (3,)))


@pytest.mark.parametrize("table, says", [
    ({"epoch": 5}, "option epoch is not known; accepted here: epochs, name, on, inner"),
    ({"inner": {"rat": 5}}, "option inner.rat is not known"),
    ({"epochs": "5"}, "option epochs='5' is of the wrong kind; accepted: a whole number, for example epochs = 3"),
    ({"epochs": 2.5}, "epochs=2.5"), ({"epochs": True}, "epochs=True"), ({"on": 1}, "true or false"),
    ({"inner": 3}, "inner=3 is of the wrong kind; accepted: a table"), ({"inner": {"sizes": 3}}, "inner.sizes=3"),
    ({"epochs": 0}, "epochs=0; accepted: at least 1")])
def test_errors_name_the_option(table, says):
    with pytest.raises(ConfigError) as refusal:
        config.updated(Outer(), table)
    assert says in str(refusal.value)


def test_printed_configuration_is_read_back_as_itself(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(config.to_toml(Recipe(seed=4)), encoding="utf-8")
    assert config.updated(Recipe(), config.read_toml(path)) == Recipe(seed=4)


@pytest.mark.parametrize("text, value", [("a.b=5", 5), ("a.b=0.5", 0.5), ("a.b=[1, 2]", [1, 2]), ("a.b=true", True),
                                         ("a.b='none'", "none"), ("a.b=none", "none"), ("a.b=", "")])
def test_set_option(text, value):
    table = {"a": {"c": 1}}
    config.set_option(table, text)
    assert table == {"a": {"c": 1, "b": value}}


def test_set_option_refuses():
    for text in ("a", "a.b=1"):
        with pytest.raises(ConfigError, match="--set a"):
            config.set_option({"a": 1}, text)


def test_files_that_are_no_toml_are_named(tmp_path):
    (tmp_path / "x.toml").write_text("= 3")
    for name in ("x.toml", "absent.toml"):
        with pytest.raises(ConfigError, match=name):
            config.read_toml(tmp_path / name)


def test_first_difference():
    assert config.first_difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}) == "b.c = 2 (now 3)"
    assert config.first_difference({"a": 1}, {"a": 1}) == ""
