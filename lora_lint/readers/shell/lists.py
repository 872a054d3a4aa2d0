"""Lists of shell commands: what is assigned after `&&` and `||` holds only in the list."""

from lora_lint.readers.shell.scope import Scope


class Lists:
    """Keeps what is assigned after `&&` and `||` apart, until the list of commands ends."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.inside = [False]

    def connect(self, connector: str) -> None:
        if connector in ("|", "|&"):
            return
        conditional = connector in ("&&", "||")
        if self.inside[-1] and (not conditional or connector == "||"):
            self._end(conditional)
        elif conditional and not self.inside[-1]:
            self.scope.open("branch")
            self.inside[-1] = True

    def _end(self, again: bool) -> None:
        if again:
            self.scope.branch()
        else:
            self.scope.close()
            self.inside[-1] = False

    def open(self) -> None:
        self.inside.append(False)

    def close(self) -> None:
        self.connect("")
        self.inside.pop()
