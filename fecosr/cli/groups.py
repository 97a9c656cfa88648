"""A group of commands one of which may be left out."""

from typing import Any, ClassVar

from typer.core import TyperGroup


class GroupWithDefault(TyperGroup):
    """Take what does not begin with the name of a command as arguments of `default`."""

    default: ClassVar[str]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default in front where no command is named."""
        if args and args[0] not in {*self.commands, "--help"}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)
