from pathlib import Path

import pytest
from pydantic import Field

from fecosr.config.toml import Section, load
from fecosr.errors import ConfigError


class Inner(Section):
    size: int = Field(gt=0)


class Outer(Section):
    name: str
    inner: Inner = Inner(size=1)
    parts: tuple[Inner, ...] = ()


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "some.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, Outer)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(tmp_path) + "/", "")


def test_a_file_becomes_its_model(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text('name = "x"\n[inner]\nsize = 3\n')
    assert load(path, Outer) == Outer(name="x", inner=Inner(size=3))


def test_an_unknown_key_is_named_with_its_line(tmp_path: Path) -> None:
    message = refused(tmp_path, 'name = "x"\n\n[inner]\nsize = 3\nsiez = 4\n')
    assert message == "some.toml:5: inner.siez: unknown key (remove it or correct its spelling)"


def test_elements_of_an_array_of_tables_are_told_apart(tmp_path: Path) -> None:
    text = 'name = "x"\n[[parts]]\nsize = 1\n[[parts]]\nsize = 0\n'
    assert refused(tmp_path, text).startswith("some.toml:5: parts.1.size: ")
    text = 'name = "x"\n[[parts]]\nsize = 1\n[[parts]]\n'
    assert refused(tmp_path, text) == "some.toml:4: parts.1.size: is missing (add it)"


def test_a_value_out_of_range_is_named_with_its_line(tmp_path: Path) -> None:
    message = refused(tmp_path, 'name = "x"\n[inner]\nsize = 0\n')
    assert message.startswith("some.toml:3: inner.size: ")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, "[inner]\nsize = 3\n") == "some.toml: name: is missing (add it)"


def test_broken_syntax_is_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "name = \n").startswith("some.toml: is not valid TOML: ")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        load(tmp_path / "absent.toml", Outer)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml: cannot be read"):
        load(tmp_path / "binary.toml", Outer)
