"""`lora-lint rescale`: another alpha for a trained adapter that does what it did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli.options import Policy, settings_for
from lora_lint.cli.output import emit, fail
from lora_lint.document import UnreadableError

if TYPE_CHECKING:
    from lora_lint.reference.rescale import Rescaled


def rescale(
    adapter: Annotated[str, typer.Argument(help="Folder of an adapter: adapter_config.json with safetensors.")],
    output: Annotated[str, typer.Option(help="Folder to write; it must not exist, or be empty.")],
    policy: Policy = None,
) -> None:
    """Rewrite alpha as the policy wants it, and B by the opposite factor.

    The function stays the same, and that is proved on every module before the folder appears.

    \b
      lora-lint rescale adapter/ --output rescaled/              alpha = 2r
      lora-lint rescale adapter/ --policy r --output rescaled/   alpha = r
    """
    try:
        from lora_lint import reference  # noqa: F401 - says what to install where torch isn't
        from lora_lint.reference.rescale import RescaleError
        from lora_lint.reference.rescale import rescale as rewrite
    except ImportError as error:
        fail(str(error))
    from lora_lint.cli.verify import checkpoint_setup
    from lora_lint.policy import Policy as Wanted

    wanted = Wanted.parse(settings_for([adapter], None, policy, None).policy)
    try:
        setup, folder = checkpoint_setup(adapter)
        done = rewrite(setup, folder, wanted, Path(output))
    except (RescaleError, UnreadableError) as error:
        fail(f"{adapter}: {error}")
    except OSError as error:
        fail(f"{adapter}: {(error.strerror or str(error)).lower()}: {error.filename or output}")
    emit("\n".join(_told(done, output)))


def _told(done: "list[Rescaled]", output: str) -> list[str]:
    from lora_lint.scaling import number

    groups: dict[tuple[str, str], int] = {}
    for one in done:
        key = number(one.before), number(one.after)
        groups[key] = groups.get(key, 0) + 1
    lines = [
        f"{count} module{'s' if count != 1 else ''}: scale {before} as before"
        if before == after
        else f"{count} module{'s' if count != 1 else ''}: scale {before} -> {after}, B times "
        f"{number(float(before) / float(after))}"
        for (before, after), count in groups.items()
    ]
    worst = max((one.error for one in done), default=0.0)
    return [*lines, f"the update moved by {worst:.1e} of its size at most; written to {output}"]
