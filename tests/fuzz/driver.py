"""Let atheris drive one of the targets with coverage as its guide (`pip install -e '.[fuzz]'`)."""

import sys
from importlib import import_module


def fuzz(target: str) -> None:
    """Fuzz until told to stop; options on the command line are those of libFuzzer, e.g. -runs=100000.

    Args:
        target: name of a function of targets.py.
    """
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["fecosr"]):
        targets = import_module("tests.fuzz.targets")
    atheris.Setup(sys.argv, getattr(targets, target))
    atheris.Fuzz()
