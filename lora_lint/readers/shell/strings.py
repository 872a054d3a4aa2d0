"""Shell in strings and here-documents: what hands text to a shell, and that text."""

import re
from collections.abc import Iterator, Sequence

from lora_lint.readers.shell.events import Command, Event, plain, program_of
from lora_lint.readers.shell.fields import places
from lora_lint.readers.shell.text import Piece, Text, Word, written
from lora_lint.readers.shell.variables import Expander

_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh"})
_STDIN_SHELLS = _SHELLS | {"ssh", "sbatch", "qsub", "bsub", "srun"}
_STRING_RUNNERS = frozenset({"ssh", "tmux", "screen", "parallel", "su", "sbatch", "watch", "xargs"})
_COMMAND_OPTION = re.compile(r"-[a-z]*c")
SCRIPT_NAME = re.compile(r"\.(?:sh|bash|zsh|slurm|sbatch|pbs|lsf)$")
_ESCAPED = re.compile(r"\\([$`\\])|\\\r?\n")


def strings(command: Command, text: Text, expander: Expander) -> Iterator[Text]:
    """The arguments of a command that another shell reads as commands."""
    program = program_of(command)
    words = command.words
    for index, word in enumerate(words):
        content = plain(word)
        if content.rpartition("/")[2] in _SHELLS and index + 2 < len(words):
            if _COMMAND_OPTION.fullmatch(plain(words[index + 1])):
                yield joined(words[index + 2 : index + 3], text, expander)
                return
        elif index and not content and program in _STRING_RUNNERS:
            script = joined((word,), text, expander)
            start = len("--wrap=") if script.chars.startswith("--wrap=") else 0
            if " " in script.chars.strip():
                yield script.part(start, len(script.chars))
    yield from (joined((word,), text, expander) for word in command.strings if program in _SHELLS)


def joined(words: Sequence[Word], text: Text, expander: Expander) -> Text:
    """The script that words make when they are handed to a shell."""
    chars: list[str] = []
    at: list[int] = []
    for word in words:
        script = _raw(word, text, expander)
        expander.scope.spend(len(script.chars))
        if len(words) == 1:
            return script
        chars += script.chars, " "
        at += (*script.at, text.at[word.end - 1])
    return Text("".join(chars), at)


def _raw(word: Word, text: Text, expander: Expander) -> Text:
    """What a word says before expansion; for a variable alone, what it was assigned from."""
    only = word.pieces[0]
    if len(word.pieces) > 1 or only.kind != "variable" or only.operator:
        return written(word, text)
    expander.used.add(only.text)
    binding = expander.scope.bindings.get(only.text)
    if binding is None or not binding.parts:
        return written(word, text)
    return binding.raw or Text(binding.text, places(binding.parts))


def heredoc_script(command: Command, text: Text, following: Event | None) -> Iterator[Text]:
    """The bodies of here-documents that a shell reads, or that become scripts; the next command may be that shell."""
    program = program_of(command)
    if program == "cat" and not command.targets and isinstance(following, Command) and following.connector == "|":
        program = program_of(following)
    if program in _STDIN_SHELLS or SCRIPT_NAME.search(target(command)):
        for heredoc in command.heredocs:
            body = text.part(heredoc.start, heredoc.end)
            yield body if heredoc.quoted else _unescaped(body)


def target(command: Command) -> str:
    """The file that `cat > FILE` or `tee FILE` writes."""
    program = program_of(command)
    targets = list(command.targets) if program == "cat" else []
    if program == "tee":
        targets = [word for word in command.words[1:] if not plain(word).startswith("-")]
    return "".join(_spelled(piece) for piece in targets[0].pieces) if targets else ""


def _spelled(piece: Piece) -> str:
    return f"${{{piece.text}}}" if piece.kind == "variable" else piece.text


def _unescaped(body: Text) -> Text:
    """A here-document as the shell writes it out, its variables left as they are."""
    if "\\" not in body.chars:
        return body
    chars: list[str] = []
    at: list[int] = []
    end = 0
    for match in _ESCAPED.finditer(body.chars):
        start = match.start() + (1 if match[1] else 0)
        chars.append(body.chars[end : match.start()])
        at += body.at[end : match.start()]
        end = start if match[1] else match.end()
    chars.append(body.chars[end:])
    at += body.at[end:]
    return Text("".join(chars), at)
