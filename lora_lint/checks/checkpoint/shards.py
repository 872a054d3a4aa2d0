"""Are shards of a distributed run all that is there of the weights?"""

import os
from collections.abc import Iterator

from lora_lint.checkpoint import ADAPTER_CONFIG
from lora_lint.facts import Setup
from lora_lint.finding import Finding
from lora_lint.leftovers import leftovers


def weights_left_in_shards(setup: Setup) -> Iterator[Finding]:
    folder = setup.folder
    if setup.kind != "checkpoint" or setup.lone or folder is None or not setup.active:
        return
    if setup.checkpoint is not None or os.path.basename(setup.path) != ADAPTER_CONFIG:
        return
    if found := list(leftovers(folder.names)):
        name, what = found[0]
        more = f", and {len(found) - 1} more beside it" if len(found) > 1 else ""
        yield Finding(f"the adapter has a config and no weights: {name} is {what}{more}")
