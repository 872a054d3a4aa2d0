"""Changes of data as edits of text, in the way that each syntax writes keys and values."""

import re
from collections.abc import Callable

from lora_lint.document import Document, Entry, Path, Span
from lora_lint.finding import Delete, Edit, Fix, Insert, RenameKey, Replace


def edits_of(document: Document, fix: Fix) -> tuple[Edit, ...]:
    """The edits that make a fix; none where its place holds nothing, or can't be edited alone."""
    entry = document.entry(fix.after if isinstance(fix, Insert) else fix.path)
    if entry is None:
        return ()
    if isinstance(fix, Replace):
        return (Edit(entry.literal, fix.text),) if entry.literal is not None else ()
    if entry.key is None or (document.syntax == "yaml" and entry.literal is None):
        return ()
    if isinstance(fix, Delete):
        return _deleted(document, entry, entry.key, fix)
    if isinstance(fix, RenameKey):
        return (Edit(entry.key, _spelled(document.source.text[slice(*entry.key)], fix.key)),)
    if (*fix.after[:-1], fix.key) in document.entries:
        return ()
    insert = _in_flow if _is_flow(document, fix.after[:-1]) else _INSERTERS.get(document.syntax)
    edit = insert(document.source.text, entry, entry.key, fix) if insert else None
    return (edit,) if edit is not None else ()


_FLOW_MAPPING = re.compile(r"([&!]\S*\s+)*\{")


def _is_flow(document: Document, path: Path) -> bool:
    owner = document.entry(path) if document.syntax == "yaml" else None
    return owner is not None and _FLOW_MAPPING.match(document.source.text, owner.value.start) is not None


def _spelled(old: str, key: str) -> str:
    """A key in the way the old one is written: quotes, leading dashes, dashes within."""
    quote = old[0] if old[:1] in "\"'" else ""
    dashes = re.match("-*", old)
    lead = dashes[0] if dashes else ""
    if lead and "-" in old[len(lead) :]:
        key = key.replace("_", "-")
    return f"{quote}{lead}{key}{quote}"


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _in_flow(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    return Edit(Span(entry.value.end, entry.value.end), f", {fix.key}: {fix.text}")


def _in_yaml(text: str, entry: Entry, key: Span, fix: Insert) -> Edit | None:
    start = _line_start(text, key.start)
    before = text[start : key.start]
    if before.strip(" -"):
        return None
    end = text.find("\n", entry.value.end)
    end = len(text) if end < 0 else end
    if end and text[end - 1] == "\r":
        end -= 1
    indent = " " * len(before)
    return Edit(Span(end, end), f"{_newline(text)}{indent}{fix.key}: {fix.text}")


def _in_json(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    before = text[_line_start(text, key.start) : key.start]
    gap = f"{_newline(text)}{before}" if not before.strip() and _line_start(text, key.start) else " "
    return Edit(Span(entry.value.end, entry.value.end), f',{gap}"{fix.key}": {fix.text}')


def _in_shell(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    old = text[slice(*key)]
    joint = "=" if text[key.end : key.end + 1] == "=" else " "
    return Edit(Span(entry.value.end, entry.value.end), f" {_spelled(old, fix.key)}{joint}{fix.text}")


def _in_python(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    if text[key.start : key.start + 1] in "\"'":
        return Edit(Span(entry.value.end, entry.value.end), f", {_spelled(text[slice(*key)], fix.key)}: {fix.text}")
    return Edit(Span(entry.value.end, entry.value.end), f", {fix.key}={fix.text}")


_INSERTERS: dict[str, Callable[[str, Entry, Span, Insert], Edit | None]] = {
    "yaml": _in_yaml,
    "json": _in_json,
    "shell": _in_shell,
    "python": _in_python,
}


_SPACE = " \t\r\n"


def _deleted(document: Document, entry: Entry, key: Span, fix: Delete) -> tuple[Edit, ...]:
    """A key and its value taken out, with the comma or the line that they leave behind."""
    text = document.source.text
    whole = Span(min(key.start, entry.value.start), max(key.end, entry.value.end))
    span: Span | None = None
    if document.syntax == "shell":
        span = _without_flag(text, whole)
    elif document.syntax in ("json", "python") or _is_flow(document, fix.path[:-1]):
        span = _without_item(text, whole)
    elif document.syntax in ("yaml", "toml"):
        span = _without_lines(text, whole)
    return (Edit(span, ""),) if span is not None else ()


def _without_item(text: str, item: Span) -> Span | None:
    """An item between commas, with the one behind it, or the one before it where it is the last."""
    end = item.end
    while end < len(text) and text[end] in _SPACE:
        end += 1
    if text[end : end + 1] == ",":
        end += 1
        while end < len(text) and text[end] in _SPACE:
            end += 1
        return Span(item.start, end)
    start = item.start
    while start and text[start - 1] in _SPACE:
        start -= 1
    return Span(start - 1, item.end) if text[start - 1 : start] == "," else None


def _without_lines(text: str, item: Span) -> Span | None:
    """The lines that an item of a block has to itself; the comment behind it speaks of it."""
    start = _line_start(text, item.start)
    stop = text.find("\n", item.end)
    rest = text[item.end : stop if stop >= 0 else len(text)].strip()
    if text[start : item.start].strip() or (rest and not rest.startswith("#")):
        return None
    return Span(start, stop + 1 if stop >= 0 else len(text))


def _without_flag(text: str, flag: Span) -> Span:
    """A flag and its value; the line that it has to itself goes, with the backslash that leads to the last one."""
    start = _line_start(text, flag.start)
    stop = text.find("\n", flag.end)
    stop = len(text) if stop < 0 else stop
    rest = text[flag.end : stop].strip()
    if not text[start : flag.start].strip() and start:
        if rest == "\\":
            return Span(start, stop + 1)
        if not rest and text[:start].rstrip("\r\n").endswith("\\"):
            return Span(len(text[:start].rstrip("\r\n")[:-1].rstrip()), flag.end)
    before = flag.start
    while before and text[before - 1] in " \t":
        before -= 1
    return Span(before, flag.end)
