"""PEFT as the oracle: what lora-lint reads from a saved adapter is what PEFT's live layers hold."""

import dataclasses
import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_lint.frameworks.peft import Config
from lora_lint.linter import read_setups

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from peft.tuners.lora import LoraLayer  # noqa: E402
from torch import nn  # noqa: E402


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(6, 6)
        self.k_proj = nn.Linear(6, 6)
        self.v_proj = nn.Linear(6, 4, bias=False)


class Experts(nn.Module):
    """Two experts stacked in each parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.ones(2, 6, 8))
        self.down = nn.Parameter(torch.ones(2, 8, 6))


class Net(nn.Module):
    """One of each layer that LoRA goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv1 = nn.Conv1d(3, 4, 3)
        self.decoder = nn.Module()
        self.decoder.layers = nn.ModuleList([Block(), Block(), Block()])
        self.experts = Experts()


class Layer(NamedTuple):
    """What one layer does: its rank, its alpha and its multiplier."""

    rank: int
    alpha: float
    scale: float


def live_layers(config: Any) -> dict[str, Layer]:
    """The layers that PEFT builds, by their name in the base model; parameters by their own."""
    model = peft.get_peft_model(Net(), config)
    found = {}
    for name, module in model.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            name = name.replace(".base_layer", "")
            parameter = getattr(module, "parameter_name", None)
            name = f"{name}.{parameter}" if parameter else name
            found[name] = Layer(module.r["default"], module.lora_alpha["default"], module.scaling["default"])
    return found


def saved(config: Any, folder: Path) -> Any:
    """Save an adapter, and read its config back as a loader does: saving sorts the patterns."""
    peft.get_peft_model(Net(), config).save_pretrained(folder, save_embedding_layers=False)
    return peft.LoraConfig.from_pretrained(folder)


def read_layers(folder: Path) -> Iterator[tuple[str, Layer]]:
    (setup,) = read_setups([str(folder)])
    for site in setup.sites:
        assert site.alpha is not None
        assert site.alpha.value is not None
        for module in site.modules:
            yield module, Layer(int(site.rank.value), site.alpha.value, site.scale)


def assert_read_as_built(config: Any, folder: Path) -> None:
    built = live_layers(saved(config, folder))
    read = list(read_layers(folder))
    assert len(dict(read)) == len(read), "a module is in one site"
    for name, layer in built.items():
        found = dict(read).get(name) or dict(read)[name.rpartition(".")[0]]
        assert (found.rank, found.alpha) == (layer.rank, layer.alpha), name
        assert math.isclose(found.scale, layer.scale, rel_tol=1e-12), name
    assert {name for name, _ in read} <= built.keys() | {name.rpartition(".")[0] for name in built}


TARGETS = ["embed", "conv", "conv1", "q_proj", "k_proj", "layers.1.v_proj", "v_proj"]
KEYS = [
    "q_proj",
    "layers.0.q_proj",
    "layers.1.k_proj",
    "layers.2",
    "proj",
    "embed",
    "conv",
    "conv1",
    ".*_proj",
    r".*\.(q|v)_proj",
    "k_proj|v_proj",
    r"layers\.[01]\..*",
    r"layers\.\d+\.v_proj",
    "^decoder.layers.1.k_proj",
    "[0-9].q_proj",
    "experts.down",
    "down",
    "experts",
    ".*",
]
RANKS = st.integers(1, 9)
ALPHAS = st.sampled_from([1, 2, 8, 16, 31, 0.5, 5.656854, 1e-3, 128])


@st.composite
def lora_configs(draw: st.DrawFn) -> Any:
    parameters = draw(st.sampled_from([None, None, ["experts.down"], ["experts.up", "experts.down"]]))
    return peft.LoraConfig(
        r=draw(RANKS),
        lora_alpha=draw(ALPHAS),
        target_modules=draw(st.lists(st.sampled_from(TARGETS), min_size=1, max_size=4, unique=True)),
        target_parameters=parameters,
        rank_pattern=draw(st.dictionaries(st.sampled_from(KEYS), RANKS, max_size=3)),
        alpha_pattern=draw(st.dictionaries(st.sampled_from(KEYS), ALPHAS, max_size=3)),
        use_rslora=draw(st.booleans()),
        use_dora=draw(st.booleans()) and not parameters,
        init_lora_weights=draw(st.sampled_from([True, False, "gaussian"])),
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=lora_configs())
def test_any_config_gives_the_ranks_alphas_and_scales_of_the_live_layers(
    config: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert_read_as_built(config, tmp_path_factory.mktemp("adapter"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
        {"r": 4, "lora_alpha": 8, "target_modules": r".*\.(q_proj|k_proj)"},
        {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "layers_to_transform": [0, 2]},
        {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["q_proj", "v_proj"],
            "exclude_modules": ["decoder.layers.1.q_proj"],
        },
        {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "lora_bias": True, "init_lora_weights": True},
        {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "modules_to_save": ["conv"]},
        {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "all"},
        {"r": 4, "lora_alpha": 8, "target_modules": ["embed"], "trainable_token_indices": None},
        {"r": 4, "lora_alpha": 8, "target_modules": ["conv1"], "target_parameters": ["experts.up"]},
        {"target_modules": ["q_proj"]},
        {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["q_proj"],
            "rank_pattern": {"layers.1.q_proj": 2, "q_proj": 3},
            "alpha_pattern": {"q_proj": 5, "layers.1.q_proj": 7},
        },
        {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["conv1"],
            "target_parameters": ["experts.up", "experts.down"],
            "rank_pattern": {"experts.up": 2},
        },
    ],
    ids=lambda options: "-".join(options),
)
def test_a_config_of_each_kind_is_read_as_peft_builds_it(options: dict[str, Any], tmp_path: Path) -> None:
    assert_read_as_built(peft.LoraConfig(**options), tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_saving_sorts_the_patterns_so_another_key_may_come_first(tmp_path: Path) -> None:
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], rank_pattern={"q_proj": 3, "layers.1.q_proj": 2})
    assert live_layers(config)["decoder.layers.1.q_proj"].rank == 3
    saved(config, tmp_path)
    assert dict(read_layers(tmp_path))["decoder.layers.1.q_proj"].rank == 2


def default_of(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return dataclasses.asdict(made) if dataclasses.is_dataclass(made) and not isinstance(made, type) else made
    return field.default


FIELDS = {field.name: default_of(field) for field in dataclasses.fields(peft.LoraConfig)}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_peft_is_a_field_here_with_the_same_default(name: str) -> None:
    default = Config.model_fields[name].get_default(call_default_factory=True)
    assert default == FIELDS[name] or (name, default) in [("runtime_config", {}), ("task_type", None)]


@pytest.mark.filterwarnings("ignore")
def test_a_config_that_peft_saved_has_no_key_that_is_unknown_here(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saved(peft.LoraConfig(target_modules=["q_proj"]), tmp_path)
    (setup,) = read_setups([str(tmp_path)])
    assert (setup.unknown_keys, setup.bad_values) == ((), ())
    written = json.loads((tmp_path / "adapter_config.json").read_text("utf-8"))
    assert written.keys() <= Config.model_fields.keys()
