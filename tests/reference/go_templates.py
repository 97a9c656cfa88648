"""Render the part of Helm's template language that our chart keeps to; anything else is an error.

It stands in for `helm template`, which is not on every machine: if, else, end, define, include, toYaml,
indentation, quote, default, printf and eq, with Go's trimming of white space.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Values = Mapping[str, Any]
_ACTION = re.compile(r"(\{\{-?.*?-?\}\})", re.DOTALL)


class Templates:
    """Hold templates and what they are rendered with.

    Args:
        definitions: a file of nothing but definitions.
        context: what `.` is at the top: Values, Release, Chart.
    """

    def __init__(self, definitions: str, context: Values) -> None:
        self._context = context
        self._definitions: dict[str, list[str]] = {}
        self._render(_tokens(definitions))

    def render(self, template: str) -> str:
        """Return what `template` becomes."""
        return self._render(_tokens(template))

    def _render(self, tokens: Iterator[str]) -> str:
        text, _ = self._until_end(tokens, active=True)
        return text

    def _until_end(self, tokens: Iterator[str], *, active: bool) -> tuple[str, str]:
        pieces: list[str] = []
        for token in tokens:
            if not token.startswith("{{"):
                pieces.append(token)
                continue
            action = token.strip("{}").strip()
            if action in {"end", "else"}:
                return "".join(pieces), action
            if action.startswith("if "):
                pieces.append(self._branch(tokens, taken=active and bool(self._pipe(action[3:]))))
            elif action.startswith("define "):
                self._definitions[shlex.split(action)[1]] = list(_body(tokens))
            elif active:
                pieces.append(_shown(self._pipe(action)))
        return "".join(pieces), ""

    def _branch(self, tokens: Iterator[str], *, taken: bool) -> str:
        first, ended = self._until_end(tokens, active=taken)
        second = ""
        if ended == "else":
            second, ended = self._until_end(tokens, active=not taken)
        assert ended == "end", "an if without its end"
        return first if taken else second

    def _pipe(self, expression: str) -> Any:
        parts = [part.strip() for part in _split(expression, "|")]
        value: Any = self._call(_split(parts[0], " "))
        for part in parts[1:]:
            value = self._call([*_split(part, " "), value])
        return value

    def _call(self, words: list[Any]) -> Any:
        name, *arguments = words
        match name:
            case "include":
                return self._render(iter(self._definitions[json.loads(arguments[0])]))
            case "toYaml":
                return yaml.safe_dump(self._value(arguments[0]), sort_keys=False).strip()
            case "nindent":
                pad = " " * int(arguments[0])
                return "\n" + "\n".join(pad + line for line in str(arguments[1]).split("\n"))
            case "quote":
                return json.dumps(str(arguments[0]))
            case "default":
                return arguments[1] or self._value(arguments[0])
            case "printf":
                return json.loads(arguments[0]) % tuple(map(self._value, arguments[1:]))
            case "eq":
                return self._value(arguments[0]) == self._value(arguments[1])
        assert not arguments, f"unknown function {name}"
        return self._value(name)

    def _value(self, word: str) -> Any:
        if word.startswith("("):
            return self._pipe(word[1:-1])
        if word.startswith('"'):
            return json.loads(word)
        assert word.startswith("."), f"what is {word}?"
        value: Any = self._context
        for name in word.split(".")[1:]:
            value = value[name]
        return value


def _tokens(template: str) -> Iterator[str]:
    """Return text and actions in turn, with white space trimmed where an action asks for it."""
    parts = _ACTION.split(template)
    for place, part in enumerate(parts):
        if part.startswith("{{-"):
            parts[place - 1] = parts[place - 1].rstrip()
        if part.endswith("-}}"):
            parts[place + 1] = parts[place + 1].lstrip()
    return iter([part.replace("{{-", "{{").replace("-}}", "}}") for part in parts])


def _body(tokens: Iterator[str]) -> Iterator[str]:
    depth = 1
    for token in tokens:
        action = token.strip("{}").strip() if token.startswith("{{") else ""
        depth += action.startswith("if ") - (action == "end")
        if not depth:
            return
        yield token


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of `text` between separators that stand in neither quotes nor parentheses."""
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        depth += (character == "(") - (character == ")")
        if character == separator and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
