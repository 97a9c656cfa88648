from pathlib import Path

import fecosr
from fecosr.harness.compare import provenance
from fecosr.harness.compare.provenance import code_digest, digest_of, versions

CODE = 'def double(x: int) -> int:\n    """Return twice x."""\n    return 2 * x\n'


def test_layout_comments_and_docstrings_do_not_decide_figures() -> None:
    same = "# A comment.\ndef double(x: int) -> int:\n\n    return 2 * x  # and another\n"
    assert provenance._meaning(CODE) == provenance._meaning(same)
    assert provenance._meaning(CODE) != provenance._meaning(CODE.replace("2 * x", "3 * x"))
    only_docstring = 'class A:\n    """Be nothing."""\n'
    assert provenance._meaning(only_docstring) != provenance._meaning(only_docstring + "    x = 1\n")


def test_the_digest_of_the_code_reads_every_file_that_is_named() -> None:
    assert len(code_digest()) == 64
    root = Path(fecosr.__file__).parent
    assert all((root / part).exists() for part in provenance._DECIDING)


def test_the_digest_of_a_value_does_not_depend_on_the_order_of_its_names() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_versions_are_those_a_reader_needs() -> None:
    assert set(versions()) == {"fecosr", "python", "numpy", "polars", "torch"}
