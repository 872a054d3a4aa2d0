"""Calls and statements that no setting tells of: a frozen adapter that is trained, a base model that is thawed."""

import ast
from collections.abc import Iterator

from lora_lint.document import Document, Source, Span
from lora_lint.expression import dotted
from lora_lint.readers.python.frozen import frozen
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.wrapped import done

MAX_DEEDS = 100


def deeds(source: Source, tree: ast.Module, lines: Lines) -> Iterator[Document]:
    """Documents without data, each where the deed is done; `words` tell of whom."""
    found: dict[Span, Document] = {}
    for load, trainer in frozen(tree, source.text):
        span = lines.span(load)
        found[span] = Document(source, "python", {}, span, deed="loads-frozen", words=(trainer,))
    for deed, node, model in done(tree, source.text):
        span = lines.span(node)
        found[span] = Document(source, "python", {}, span, deed=deed, words=(model,))
    for call, folder in read_configs(tree, source.text):
        span = lines.span(call)
        found[span] = Document(source, "python", {}, span, deed="reads-config", words=(folder,))
    yield from list(found.values())[:MAX_DEEDS]


def read_configs(tree: ast.Module, text: str) -> Iterator[tuple[ast.Call, str]]:
    """Configs that are read from a folder and wrapped around a model as they are."""
    if "Config.from_pretrained" not in text or "get_peft_model" not in text or "inference_mode" in text:
        return
    constants: dict[str, str | None] = {}
    calls: list[tuple[str, ast.Call]] = []
    wrapped: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [dotted(target) or "" for target in node.targets]
            for name in names:
                value = node.value.value if isinstance(node.value, ast.Constant) else None
                constants[name] = value if isinstance(value, str) and name not in constants else None
                if isinstance(node.value, ast.Call) and _reads(node.value):
                    calls.append((name, node.value))
        elif isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "get_peft_model":
            given = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "peft_config")]
            wrapped.update(dotted(one) or "" for one in given)
            calls += [("", one) for one in given if isinstance(one, ast.Call) and _reads(one)]
    for name, call in calls:
        where = call.args[0] if call.args else None
        folder = where.value if isinstance(where, ast.Constant) else constants.get(dotted(where) or "") if where else ""
        if isinstance(folder, str) and folder and (not name or name in wrapped):
            yield call, folder


def _reads(call: ast.Call) -> bool:
    owner, _, method = (dotted(call.func) or "").rpartition(".")
    return method == "from_pretrained" and owner.rpartition(".")[2] in ("LoraConfig", "PeftConfig")
