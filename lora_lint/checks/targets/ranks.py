"""Are ranks larger than the layers can use?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lora_lint.facts import Setup
from lora_lint.finding import Finding
from lora_lint.forms import of_form
from lora_lint.once import for_each
from lora_lint.scaling import number
from lora_lint.tensors import LoraTensors

if TYPE_CHECKING:
    from lora_lint.image_models import ImageModel


def rank_exceeds_dimension(setup: Setup) -> Iterator[Finding]:
    if not setup.active:
        return
    if setup.checkpoint is None:
        yield from _wider_than_targets(setup)
        return
    beyond = _beyond(setup.tensor_modules)
    if beyond:
        module, features = beyond[0]
        assert module.a is not None
        more = f", and of {len(beyond) - 1} more" if len(beyond) > 1 else ""
        yield Finding(
            f"rank {module.rank} of {module.module[:80]}{more} is more than the {min(features)} that its weight "
            "can have",
            file=module.a.file,
            tensor=module.a.name,
        )


@for_each
def _beyond(modules: Sequence[LoraTensors]) -> list[tuple[LoraTensors, tuple[int, int]]]:
    """Linear layers whose rank is larger than their outputs or inputs, with these."""
    found = [(module, module.features) for module in of_form(modules, _is_beyond)]
    return [(module, features) for module, features in found if features is not None]


def _is_beyond(module: LoraTensors) -> bool:
    rank, features = module.rank, module.features
    if module.of_parameter or features is None or rank is None:
        return False
    return rank == module.rank_of_b and rank > min(features) > 0


def _wider_than_targets(setup: Setup) -> Iterator[Finding]:
    """Ranks that are set for layers whose sizes are known from the base model."""
    if not any(site.rank.known and site.rank.value > _NARROW for site in setup.sites):
        return
    if setup.image_model is not None:
        yield from _wider_than_images(setup, setup.image_model)
        return
    if (base := setup.base) is None or not base.sizes:
        return
    every = setup.targets.all_linear is not None
    for site in setup.sites:
        if site.state != "active" or not site.rank.known:
            continue
        named = [*base.sizes] if every and not site.pattern else [*site.modules]
        narrow = [(least, name) for name in named if (least := base.narrowest(name)) and least < site.rank.value]
        if narrow:
            least, name = min(narrow)
            yield Finding(
                f"rank {number(site.rank.value)} of {name.rpartition('.')[2][:80]} is more than the {least} that its "
                f"weight can have in {base.source[:80]}",
                at=site.rank.path,
            )


_NARROW = 64
"""No layer of a model that is known has a smaller side."""


def _wider_than_images(setup: Setup, width: "ImageModel") -> Iterator[Finding]:
    for site in setup.sites:
        if site.state == "active" and site.rank.known and site.rank.value > width.narrowest and not site.pattern:
            yield Finding(
                f"rank {number(site.rank.value)} is more than the {width.narrowest} that the narrowest layers of "
                f"{width.title} can have",
                at=site.rank.path,
            )
