"""Dockerfiles: what RUN, CMD and ENTRYPOINT start, with the variables that ENV and ARG set."""

import json as standard
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lora_lint.document import Document, Source
from lora_lint.readers import json
from lora_lint.readers.composition import Composition

_INSTRUCTION = re.compile(r"[ \t]*(?P<name>[A-Za-z]+)[ \t]+(?P<rest>.*)", re.DOTALL)
_OPTIONS = re.compile(r"(?:--[a-z]+=\S*[ \t]*)+")
_HEREDOC = re.compile(r"<<-?[ \t]*(?P<quote>[\"']?)(?P<word>\w+)(?P=quote)")
_COMMENT = re.compile(r"[ \t]*(?:#.*)?$")
_PAIR = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:=|[ \t]+)(?P<value>.*)", re.DOTALL)
_HEALTH = re.compile(r"(?:--\S+[ \t]+)*CMD[ \t]+", re.IGNORECASE)


@dataclass(slots=True)
class _Text:
    """Text with the place of each character."""

    chars: str
    at: Sequence[int]

    def after(self, start: int) -> "_Text":
        return _Text(self.chars[start:], self.at[start:])


@dataclass
class _Stage:
    """What the image of one stage starts: CMD adds to ENTRYPOINT where both are lists of words."""

    entry: list[_Text] | _Text | None = None
    command: list[_Text] | _Text | None = None


@dataclass
class _Script:
    """The instructions as a shell script."""

    composition: Composition = field(default_factory=Composition)
    stage: _Stage = field(default_factory=_Stage)

    def instruction(self, name: str, rest: _Text) -> None:
        if name == "FROM":
            self.end_stage()
        elif name in ("ENV", "ARG"):
            self._variable(name, rest)
        elif name == "RUN":
            self._run(rest)
        elif name == "COPY" and _HEREDOC.match(rest.chars):
            self._copy(rest)
        elif name == "CMD":
            self.stage.command = _words(rest) or rest
        elif name == "ENTRYPOINT":
            self.stage.entry, self.stage.command = _words(rest) or rest, None

    def end_stage(self) -> None:
        """Start what the stage was left with."""
        entry, command, self.stage = self.stage.entry, self.stage.command, _Stage()
        if isinstance(entry, list) and isinstance(command, list):
            entry, command = [*entry, *command], None
        for started in (entry,) if entry is not None else (command,):
            if isinstance(started, list):
                for word in started:
                    self.composition.word(word.chars, word.at)
            elif started is not None:
                self.composition.copy(started.chars, started.at)
        self.composition.say("\n")

    def _run(self, rest: _Text) -> None:
        words = _words(rest)
        if rest.chars.startswith("<<"):
            self.composition.say("bash ", rest.at[0])
        if words:
            for word in words:
                self.composition.word(word.chars, word.at)
        else:
            self.composition.copy(rest.chars, rest.at)
        self.composition.say("\n")

    def _copy(self, rest: _Text) -> None:
        """`COPY <<EOF FILE` writes what follows into a file."""
        line, end, body = rest.chars.partition("\n")
        opener, _, target = line.partition(" ")
        self.composition.say(f"cat > {target.strip()} ", rest.at[0])
        self.composition.copy(opener, rest.at[: len(opener)])
        self.composition.copy(end + body, rest.at[len(line) :])
        self.composition.say("\n")

    def _variable(self, name: str, rest: _Text) -> None:
        """`ENV A=1 B=2`, `ENV A 1`, and `ARG A=1`, whose value whoever builds the image may change."""
        match = _PAIR.match(rest.chars)
        if match is None:
            return
        if name == "ENV" and rest.chars[match.end("name")] == "=":
            self.composition.say("export ", rest.at[0])
            self.composition.copy(rest.chars, rest.at)
        else:
            start = match.start("value")
            opening, closing = ("${" + match["name"] + ":-", "}") if name == "ARG" else ('"', '"')
            self.composition.say(f"{match['name']}={opening}", rest.at[0])
            self.composition.copy(match["value"], rest.at[start : match.end("value")])
            self.composition.say(closing)
        self.composition.say("\n")


def read(source: Source) -> Iterator[Document]:
    """The commands of a Dockerfile, in order."""
    script = _Script()
    for text in _instructions(source):
        match = _INSTRUCTION.match(text.chars)
        if match is None:
            continue
        name, rest = match["name"].upper(), text.after(match.start("rest"))
        if name == "HEALTHCHECK":
            health = _HEALTH.match(rest.chars)
            name, rest = ("RUN", rest.after(health.end())) if health else ("", rest)
        options = _OPTIONS.match(rest.chars)
        if rest.chars.strip():
            script.instruction(name, rest.after(options.end()) if options else rest)
    script.end_stage()
    yield from script.composition.documents(source)


def _instructions(source: Source) -> Iterator[_Text]:
    """Each instruction with its continued lines and its here-documents, comments within left out."""
    lines = iter(zip(source.line_starts, [*source.line_starts[1:], len(source.text)], strict=True))
    for start, end in lines:
        if _COMMENT.match(source.text[start:end].rstrip()):
            continue
        parts = [(start, end)]
        while _continues(source.text[slice(*parts[-1])]) and (following := next(lines, None)) is not None:
            parts.append(following)
            while _COMMENT.match(source.text[slice(*parts[-1])].rstrip()) and (following := next(lines, None)):
                parts[-1] = following
        text = _text(source, parts)
        if text.chars.lstrip()[:4].upper() in ("RUN ", "COPY"):
            for opener in list(_HEREDOC.finditer(text.chars)):
                for line in lines:
                    parts.append(line)
                    if source.text[slice(*line)].strip() == opener["word"]:
                        break
            text = _text(source, parts)
        yield text


def _continues(line: str) -> bool:
    return line.rstrip().endswith("\\")


def _text(source: Source, parts: list[tuple[int, int]]) -> _Text:
    at = [place for start, end in parts for place in range(start, end)]
    return _Text("".join(source.text[start:end] for start, end in parts).rstrip(), at)


def _words(rest: _Text) -> list[_Text] | None:
    """The words of the JSON form, `["python", "train.py"]`, or None."""
    if not rest.chars.startswith("["):
        return None
    text = rest.chars.replace("\\\r\n", "  \n").replace("\\\n", " \n")
    try:
        listed = standard.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
        return None
    words = []
    entries = json.scan(text)
    for index in range(len(listed)):
        value, places = json.decoded(text, entries[index,].value)
        words.append(_Text(value, [rest.at[place] for place in places]))
    return words
