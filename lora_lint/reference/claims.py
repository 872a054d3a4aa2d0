"""From what a checkpoint folder says to the claims that its tensors are held against."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from lora_lint.facts import Setup, Site
from lora_lint.modules import COLUMNS, ROWS, STACKED
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.layer import Kind
from lora_lint.reference.stream import TensorFiles, TensorRef
from lora_lint.scaling import rslora
from lora_lint.tensors import Checkpoint, LoraTensors, Tensor


def unpickled(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The same checkpoint with the names and shapes of a `.bin`, which only torch's safe unpickler can give.

    Raises:
        UnreadableError: when the file holds more than tensors, or none at all.
    """
    files = TensorFiles()
    tensors = {}
    for file in checkpoint.files:
        opened = files.open(folder / file)
        for name in opened.names:
            tensors[name] = Tensor(name, opened.dtype(name), tuple(opened.tensor(name).shape), file)
    return replace(checkpoint, tensors=tensors)


def claims(setup: Setup, folder: Path) -> Iterator[ModuleClaim]:
    """One claim for each module that has both A and B, in the order of the tensors."""
    if setup.checkpoint is None:
        return
    sites = {name: site for site in setup.sites if site.state == "active" for name in site.modules}
    for module in setup.tensor_modules:
        site = sites.get(module.module)
        if site is not None and module.a is not None and module.b is not None and module.method == "lora":
            yield _claim(module, site, folder, setup)


def lacking(setup: Setup) -> Iterator[LoraTensors]:
    """Modules that lack A or B."""
    for module in setup.tensor_modules:
        if (module.a is None or module.b is None) and module.method == "lora":
            yield module


def _claim(module: LoraTensors, site: Site, folder: Path, setup: Setup) -> ModuleClaim:
    assert module.a is not None
    assert module.b is not None
    rank = site.rank.value if site.rank.known else None
    a, b, axes = module.a, module.b, module.axes
    if _of_embedding(module):
        a, b, axes = b, a, ROWS
    return ModuleClaim(
        module.module,
        rank,
        None if site.undecided else site.scale,
        _ref(a, folder),
        _ref(b, folder),
        kind=kind_of(module),
        magnitude=_ref(module.magnitude, folder) if module.magnitude is not None else None,
        rslora=site.formula is rslora,
        axes=axes,
        choices=_parameters(setup, module.module) if module.of_parameter else (),
        core=_core(module.a, folder, setup),
    )


def _core(a: Tensor, folder: Path, setup: Setup) -> TensorRef | None:
    """`lora_mid` beside `lora_down`: lycoris/modules/locon.py:28-34 at f49d30d6."""
    name = a.name.replace("lora_down", "lora_mid")
    core = setup.checkpoint.tensors.get(name) if setup.checkpoint is not None and name != a.name else None
    return _ref(core, folder) if core is not None else None


def _parameters(setup: Setup, module: str) -> tuple[str, ...]:
    """The parameters of a module that are adapted themselves, as the config names them, from the model or a part of it
    on: `_inject_parameters` of peft/tuners/tuners_utils.py at 0.21.2."""
    names = [fact.value.rpartition(".") for fact in setup.parameters if fact.known]
    return tuple(dict.fromkeys(name for path, _, name in names if f".{module}".endswith(f".{path}")))


def _of_embedding(module: LoraTensors) -> bool:
    """Whether MLX's DoRA is on an embedding, where a magnitude is a token's: its A gives the rows of the weight and its
    B the columns, so that they are B and A of a linear layer (mlx_lm/tuner/dora.py:148-166 at d78bf58e)."""
    if module.magnitude is None or module.axes != COLUMNS or module.features is None:
        return False
    outputs, inputs = module.features
    return module.magnitude.shape == (inputs,) != (outputs,)


def _ref(tensor: Tensor, folder: Path) -> TensorRef:
    return TensorRef(_path(folder, tensor.file), tensor.name)


@lru_cache(maxsize=16)
def _path(folder: Path, file: str) -> Path:
    return folder / Path(file).name


def kind_of(module: LoraTensors) -> Kind:
    """What the module adapts, as its tensors tell."""
    assert module.a is not None
    if "lora_embedding_" in module.a.name:
        return "embedding"
    if module.of_parameter or (module.axes in (COLUMNS, STACKED) and len(module.a.shape) == 3):
        return "experts"
    if module.fused:
        return "fused"
    return "conv" if len(module.a.shape) > 2 else "linear"
