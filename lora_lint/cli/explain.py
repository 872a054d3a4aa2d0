"""`lora-lint explain`: the page of a rule."""

from typing import Annotated

import typer

from lora_lint.cli import output
from lora_lint.cli.output import emit, fail


def explain(rule: Annotated[str, typer.Argument(help="Name of a rule.")]) -> None:
    """Print a rule's page: the reason, bad and good examples, sources.

    \b
      lora-lint explain alpha-not-2r
    """
    from lora_lint.catalogue import load_rules, resolve
    from lora_lint.spelling import nearest

    rules = load_rules()
    names = resolve(rule)
    if names is None:
        meant = nearest(rule, rules)
        fail(
            f"there is no rule {rule!r}" + (f"; {meant} was likely meant" if meant else "; lora-lint rules lists them")
        )
    for name in names:
        page = rules[name]
        fix = f"fix: {page.fix}" if page.fix else "no automatic fix"
        head = f"# {name}\n\n{page.title}\n\n{page.severity} · {page.family} · since {page.since} · {fix}\n"
        sources = "".join(f"- {source}\n" for source in page.sources)
        text = f"{head}\n{page.body.strip()}\n\n## Sources\n\n{sources}\n{page.url}\n"
        if output.on_terminal():
            _on_terminal(text)
        else:
            emit(text)


def _on_terminal(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(output.width(), 100), no_color=not output.colour(), force_terminal=True)
    with console.capture() as capture:
        console.print(Markdown(text))
    emit(capture.get())
