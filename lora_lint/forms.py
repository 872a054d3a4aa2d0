"""Modules of one form are asked once: of the hundreds in an adapter few differ in more than their names."""

from collections.abc import Callable, Sequence

from lora_lint.once import for_each
from lora_lint.tensors import Form, LoraTensors


def of_form(modules: Sequence[LoraTensors], is_so: Callable[[LoraTensors], bool]) -> list[LoraTensors]:
    """The modules of which something is true that follows from their form alone, in their order."""
    forms, firsts = _forms(modules)
    so = {form for form, module in firsts.items() if is_so(module)}
    return [module for module, form in zip(modules, forms, strict=True) if form in so] if so else []


@for_each
def _forms(modules: Sequence[LoraTensors]) -> tuple[list[Form], dict[Form, LoraTensors]]:
    """The form of each module, and a module of each form."""
    forms = [module.form for module in modules]
    return forms, dict(zip(reversed(forms), reversed(modules), strict=True))
