from pathlib import Path

import pytest

from fecosr.config.database import DatabaseSection
from fecosr.config.parties import load_coordinator
from fecosr.config.toml import validate
from fecosr.errors import ConfigError


def section(**values: object) -> DatabaseSection:
    return validate(values, DatabaseSection, source="coordinator.toml")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://fecosr@db.example.org/federation",
        "postgres://fecosr@db.example.org:5432/federation?sslmode=verify-full&sslrootcert=system",
        "postgresql://fecosr@one:5432,two:5433/federation",
        "postgresql://fecosr@[2001:db8::1]:5432/federation",
        "postgresql:///federation?host=/run/postgresql",
    ],
)
def test_a_url_says_where_and_who(url: str) -> None:
    assert section(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://fecosr:hunter2@db/federation",
        "postgresql://fecosr:hun/ter2@db/federation",
        "postgresql://fecosr:12/hunter2@db/federation",
        "postgresql://fecosr:12?hunter2@db/federation",
        "postgresql://fecosr:12#hunter2@db/federation",
        "postgresql://fecosr@db/federation?password=hunter2",
        "postgresql://fecosr@db/federation?sslmode=require&sslpassword=hunter2",
        "host=db password=hunter2",
        "mysql://fecosr@db/hunter2",
    ],
)
def test_a_password_has_no_place_in_it_and_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="password") as refused:
        section(url=url)
    assert "hunter2" not in str(refused.value)
    assert "ter2" not in str(refused.value)


def test_the_password_stands_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "coordinator.toml"
    config.write_text('listen = "h:1"\n[database]\nurl = "postgresql://u@db/f"\npassword_file = "word"\n')
    word = tmp_path / "word"
    word.write_text(" correct horse \n")
    word.chmod(0o600)
    database = load_coordinator(config).database
    assert database is not None
    assert database.password() == " correct horse "
    assert "correct" not in repr(database)
    word.chmod(0o640)
    with pytest.raises(ConfigError, match=r"others may read this password \(chmod 600"):
        database.password()
    word.unlink()
    with pytest.raises(ConfigError, match="word: cannot be read"):
        database.password()


def test_without_a_file_libpq_finds_the_password() -> None:
    assert section(url="postgresql://u@db/f").password() is None
