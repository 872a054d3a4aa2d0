"""Frameworks as oracles: the scale that lora-lint reads from a file is the one that their own code makes of it."""

import json
import math
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.frameworks.rows import setups
from tests.oracles.installed import NotInstalledError, folders

ROOT = Path(__file__).resolve().parent.parent
Layers = list[tuple[int, float]]
Answers = dict[tuple[str, str], object]
Asked = Callable[[str], Answers]


class Case(NamedTuple):
    """A file, and the ranks and scales of the layers that a framework makes of it, or words of its refusal."""

    framework: str
    file: str
    text: str
    expected: Layers | str


SWIFT = "swift sft --model m --dataset d"
TRL = "trl sft --model_name_or_path m --dataset_name d"
LLAMA_FACTORY = "model_name_or_path: m\noutput_dir: o\nstage: sft\nfinetuning_type: lora\n"
FACTORY_CLI = "llamafactory-cli train --model_name_or_path m --output_dir o --stage sft"
AXOLOTL = "base_model: m\ndatasets: [{path: d, type: alpaca}]\nmicro_batch_size: 1\nlearning_rate: 0.0002\n"
TORCHTUNE = "model:\n  _component_: torchtune.models.llama3.lora_llama3\n  lora_attn_modules: [q_proj, v_proj]\n"
LITGPT = "checkpoint_dir: c\n"
AUTOMODEL = "peft:\n  _target_: nemo_automodel.components._peft.lora.PeftConfig\n  target_modules: '*_proj'\n"
COOKBOOK = "python finetuning.py --model_name m"
MLX = "model: m\ntrain: true\nfine_tune_type: lora\nnum_layers: 1\niters: 10\n"
KOHYA = "python train_network.py --network_module lycoris.kohya"
LYCORIS = "from lycoris import create_lycoris\ncreate_lycoris(unet, 1.0, "
SAVED = '{"config": {"architecture": "lora", "attn_matrices": ["q"], %s}, "version": "adapters.%s"}'

CASES = [
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 8 --lora_alpha 16", [(8, 2.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft", [(16, 2.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 64", [(64, 0.5)]),
    Case("trl", "run.sh", f"{TRL} --use_peft true --lora_alpha 8", [(16, 0.5)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 16 --use_rslora", [(16, 8.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 16 --use_rslora False", [(16, 2.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 16 --use_dora", [(16, 2.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft false --lora_r 8", []),
    Case("trl", "run.sh", f"{TRL} --lora_r 8 --lora_alpha 16", []),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora-r 8 --lora-alpha 8", [(8, 1.0)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_a 8", [(16, 0.5)]),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_rank 8 --lora_alpha 16", "not used by the HfArgumentParser"),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r eight --lora_alpha 16", "argument --lora_r"),
    Case("trl", "run.sh", f"{TRL} --use_peft --lora_r 16.5 --lora_alpha 16", "argument --lora_r"),
    Case("trl", "c.yaml", "model_name_or_path: m\nuse_peft: true\nlora_r: 32\n", [(32, 1.0)]),
    Case("trl", "c.yaml", "model_name_or_path: m\nuse_peft: true\nlora_r: '32'\n", [(32, 1.0)]),
    Case("trl", "c.yaml", "model_name_or_path: m\nuse_peft: true\nuse_rslora: true\nlora_alpha: 8\n", [(16, 2.0)]),
    Case("trl", "c.yaml", "model_name_or_path: m\nuse_peft: false\nlora_r: 32\n", []),
    Case("ms_swift", "run.sh", SWIFT, [(8, 4.0)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_rank 16 --lora_alpha 32", [(16, 2.0)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_rank 16", [(16, 2.0)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_rank 16 --use_rslora true", [(16, 8.0)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_alpha 2.5", [(8, 0.3125)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --tuner_type full --lora_rank 16", []),
    Case("ms_swift", "run.sh", f"{SWIFT} --tuner_type lora --lora_rank 4 --target_modules q_proj v_proj", [(4, 8.0)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_r 16 --lora_a 8", [(16, 0.5)]),
    Case("ms_swift", "run.sh", f"{SWIFT} --lora_rnk 16", "--lora_rnk"),
    Case("ms_swift", "c.yaml", "tuner_type: lora\nlora_r: 16\nlora_alpha: 16\n", [(16, 1.0)]),
    Case("ms_swift", "c.yaml", "tuner_type: lora\nlora_rank: 4\nlora_alpha: 4\n", [(4, 1.0)]),
    Case("ms_swift", "c.yaml", "tuner_type: lora\nlora_rank: 4\nuse_rslora: true\n", [(4, 16.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 8\nlora_alpha: 8\n", [(8, 1.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY, [(8, 2.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 64\n", [(64, 2.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 64\nlora_alpha: null\n", [(64, 2.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 64\nlora_alpha: 0\n", [(64, 2.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 16\nuse_rslora: true\n", [(16, 8.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_rank: 16\nlora_target: q_proj,v_proj\n", [(16, 2.0)]),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY.replace("lora", "full") + "lora_rank: 16\n", []),
    Case("llama_factory", "c.yaml", LLAMA_FACTORY + "lora_r: 16\n", "not used by the HfArgumentParser"),
    Case("llama_factory", "run.sh", f"{FACTORY_CLI} --finetuning_type lora --lora_rank 4", [(4, 2.0)]),
    Case("llama_factory", "run.sh", f"{FACTORY_CLI} --finetuning_type lora --lora_r 4 --lora_al 2", [(4, 0.5)]),
    Case("llama_factory", "run.sh", f"{FACTORY_CLI} --lora_rank 4 --lora_alpha 4 --use_rslora true", [(4, 2.0)]),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_r: 32\nlora_alpha: 16\n", [(32, 0.5)]),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_r: '32'\nlora_alpha: 16.0\n", [(32, 0.5)]),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_r: 32\nlora_alpha: 16.5\n", "lora_alpha"),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_r: 32\n", "NoneType"),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_alpha: 32\n", "NoneType"),
    Case("axolotl", "c.yaml", AXOLOTL + "lora_r: 32\nlora_alpha: 16\n", []),
    Case("axolotl", "c.yaml", AXOLOTL + "adapter: lora\nlora_r: 4\nlora_alpha: 8\npeft_use_rslora: true\n", [(4, 4.0)]),
    Case(
        "axolotl",
        "c.yaml",
        AXOLOTL + "adapter: lora\nlora_r: 4\nlora_alpha: 8\nlora_rank_pattern: {q_proj: 16}\n",
        [(4, 2.0), (16, 0.5)],
    ),
    Case(
        "axolotl",
        "c.yaml",
        AXOLOTL + "adapter: lora\nlora_r: 4\nlora_alpha: 8\nlora_alpha_pattern: {q_proj: 4}\n",
        [(4, 1.0), (4, 2.0)],
    ),
    Case(
        "axolotl",
        "c.yaml",
        AXOLOTL + "adapter: lora\nlora_r: 4\nlora_alpha: 8\nlora_alpha_pattern: {q_proj: 4.5}\n",
        "lora_alpha_pattern",
    ),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_rank: 8\n  lora_alpha: 16\n", [(8, 2.0)]),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_rank: 64\n  lora_alpha: 16\n", [(64, 0.25)]),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_rank: 3\n  lora_alpha: 0.5\n", [(3, 1 / 6)]),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_rank: 8\n  lora_alpha: 1e1\n", [(8, 1.25)]),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_rank: 8\n", "Missing key lora_alpha"),
    Case("torchtune", "c.yaml", TORCHTUNE + "  lora_alpha: 8\n", "Missing key lora_rank"),
    Case(
        "torchtune",
        "c.yaml",
        TORCHTUNE + "  lora_rank: 8\n  lora_alpha: 16\n  lora_rnk: 4\n",
        "unexpected keyword argument",
    ),
    Case(
        "torchtune",
        "c.yaml",
        TORCHTUNE + "  lora_rank: 8\n  lora_alpha: 16\n  apply_lora_to_mlp: true\n  apply_lora_to_output: true\n",
        [(8, 2.0)],
    ),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 16\nlora_alpha: 32\nlora_query: true\n", [(16, 2.0)]),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 64\nlora_mlp: true\n", [(64, 0.25)]),
    Case("litgpt", "c.yaml", LITGPT + "lora_alpha: 4\nlora_mlp: true\n", [(8, 0.5)]),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 0\nlora_mlp: true\n", []),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 8\nlora_alpha: 16.5\nlora_mlp: true\n", "lora_alpha"),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 8\nlora_query: false\nlora_value: false\n", []),
    Case("litgpt", "c.yaml", LITGPT + "lora_r: 8\nlora_rank: 4\nlora_mlp: true\n", "lora_rank"),
    Case("litgpt", "run.sh", "litgpt finetune_lora c", [(8, 2.0)]),
    Case("litgpt", "run.sh", "litgpt finetune_lora c --lora_r 32", [(32, 0.5)]),
    Case("litgpt", "run.sh", "litgpt finetune c --lora_r 32 --lora_alpha 64", [(32, 2.0)]),
    Case("adapterhub", "a.py", "import adapters\nadapters.LoRAConfig()", [(8, 1.0)]),
    Case("adapterhub", "a.py", "import adapters\nadapters.LoRAConfig(r=4)", [(4, 2.0)]),
    Case("adapterhub", "a.py", "import adapters\nadapters.LoRAConfig(r=4, alpha=2)", [(4, 0.5)]),
    Case("adapterhub", "adapter_config.json", SAVED % ('"r": 4, "alpha": 8', "1.1.0"), [(4, 2.0)]),
    Case("adapterhub", "adapter_config.json", SAVED % ('"r": 4, "alpha": 8', "1.0.1"), [(4, 1.0)]),
    Case("adapterhub", "adapter_config.json", SAVED % ('"r": 4, "alpha": 8', "0.2.2"), [(4, 1.0)]),
    Case("nemo_automodel", "c.yaml", AUTOMODEL + "  dim: 16\n  alpha: 32\n", [(16, 2.0)]),
    Case("nemo_automodel", "c.yaml", AUTOMODEL, [(8, 4.0)]),
    Case("nemo_automodel", "c.yaml", AUTOMODEL + "  dim: 64\n", [(64, 0.5)]),
    Case("nemo_automodel", "c.yaml", AUTOMODEL + "  alpha: 4\n", [(8, 0.5)]),
    Case("llama_cookbook", "run.sh", f"{COOKBOOK} --use_peft --peft_method lora", [(8, 4.0)]),
    Case("llama_cookbook", "run.sh", f"{COOKBOOK} --use_peft --lora_config.r 16", [(16, 2.0)]),
    Case("llama_cookbook", "run.sh", f"{COOKBOOK} --use_peft --lora_config.lora_alpha=8", [(8, 1.0)]),
    Case("llama_cookbook", "run.sh", f"{COOKBOOK} --use_peft --peft_method lora --r 16", [(16, 2.0)]),
    Case("llama_cookbook", "run.sh", f"{COOKBOOK} --peft_method lora --lora_config.r 16", []),
    Case("mlx_lm", "c.yaml", MLX, [(8, 20.0)]),
    Case("mlx_lm", "c.yaml", MLX + "lora_parameters: {rank: 4, scale: 2.0, dropout: 0.0}\n", [(4, 2.0)]),
    Case("mlx_lm", "c.yaml", MLX + "lora_parameters: {rank: 64, scale: 1e1, dropout: 0.0}\n", [(64, 10.0)]),
    Case("mlx_lm", "c.yaml", MLX + "lora_parameters: {rank: 4, alpha: 8, scale: 2, dropout: 0}\n", [(4, 2.0)]),
    Case("mlx_lm", "c.yaml", MLX + "lora_parameters: {rank: 4, dropout: 0.0}\n", "missing required key"),
    Case("mlx_lm", "c.yaml", MLX.replace("lora", "full"), []),
    Case("keras", "k.py", "import keras\nkeras.layers.Dense(4, lora_rank=4)", [(4, 1.0)]),
    Case("keras", "k.py", "import keras\nkeras.layers.Dense(4, lora_rank=4, lora_alpha=8)", [(4, 1.0)]),
    Case("keras", "k.py", "import keras\nkeras.layers.Embedding(9, 4, lora_rank=4, lora_alpha=8)", [(4, 1.0)]),
    Case("keras", "k.py", "import keras\nkeras.layers.Conv2D(4, 3, lora_rank=4, lora_alpha=8)", [(4, 2.0)]),
    Case(
        "keras",
        "k.py",
        "import keras\nkeras.layers.EinsumDense('ab,bc->ac', output_shape=4, lora_rank=4, lora_alpha=2)",
        [(4, 0.5)],
    ),
    Case("loralib", "l.py", "import loralib as lora\nlora.Linear(8, 8, r=4, lora_alpha=8)", [(4, 2.0)]),
    Case("loralib", "l.py", "import loralib as lora\nlora.Linear(8, 8, r=4)", [(4, 0.25)]),
    Case("loralib", "l.py", "import loralib as ll\nll.Linear(8, 8, r=4)", [(4, 0.25)]),
    Case("loralib", "l.py", "from loralib import Linear\nLinear(8, 8, r=4, lora_alpha=4)", [(4, 1.0)]),
    Case("loralib", "l.py", "import loralib as lora\nlora.Linear(8, 8, r=0, lora_alpha=4)", []),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8)", [(16, 0.5)]),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16)", [(16, 1 / 16)]),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=0)", [(16, 1.0)]),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, conv_dim=4)", [(4, 2.0), (16, 0.5)]),
    Case(
        "lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, conv_dim=4, conv_alpha=4)", [(4, 1.0), (16, 0.5)]
    ),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, conv_alpha=4)", [(16, 0.25), (16, 0.5)]),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, algo='lokr')", []),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, algo='loha')", []),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, dora_wd=True)", [(16, 0.5)]),
    Case("lycoris", "l.py", LYCORIS + "linear_dim=16, linear_alpha=8, rs_lora=True)", [(16, 0.5)]),
    Case("lycoris", "lycoris_config.json", '{"algo": "lora", "linear_dim": 8, "linear_alpha": 16}', [(8, 2.0)]),
    Case("lycoris", "lycoris_config.json", '{"algo": "lora", "linear_dim": null, "linear_alpha": 8}', [(4, 2.0)]),
    Case("kohya", "run.sh", f"{KOHYA} --network_dim 16 --network_alpha 8", [(16, 0.5)]),
    Case("kohya", "run.sh", f"{KOHYA} --network_dim 16", [(16, 1 / 16)]),
    Case("kohya", "run.sh", KOHYA, [(4, 0.25)]),
    Case("kohya", "run.sh", f"{KOHYA} --network_dim 16 --network_alpha 0", [(16, 1.0)]),
    Case("kohya", "run.sh", f"{KOHYA} --network_dim 16 --network_alpha 8 --network_args rs_lora=True", [(16, 2.0)]),
    Case("kohya", "run.sh", f"{KOHYA} --network_dim 16 --network_alpha 8 --network_args algo=lokr", []),
    Case(
        "kohya",
        "run.sh",
        f"{KOHYA} --network_dim 16 --network_alpha 8 --network_args conv_dim=4",
        [(4, 2.0), (16, 0.5)],
    ),
    Case(
        "kohya",
        "run.sh",
        f"{KOHYA} --network_dim 16 --network_alpha 8 --network_args conv_dim=4 conv_alpha=1 algo=locon",
        [(4, 0.25), (16, 0.5)],
    ),
    Case(
        "kohya",
        "c.toml",
        'network_module = "lycoris.kohya"\nnetwork_dim = 8\nnetwork_alpha = 16\nnetwork_args = ["conv_alpha=8"]\n',
        [(8, 1.0), (8, 2.0)],
    ),
]

DRAWN = {
    "trl": ("run.sh", f"{TRL} --use_peft --lora_r {{rank}} --lora_alpha {{alpha}} --use_rslora {{flag}}"),
    "ms_swift": ("run.sh", f"{SWIFT} --lora_rank {{rank}} --lora_alpha {{alpha}} --use_rslora {{flag}}"),
    "llama_factory": ("c.yaml", LLAMA_FACTORY + "lora_rank: {rank}\nlora_alpha: {alpha}\nuse_rslora: {flag}\n"),
    "axolotl": (
        "c.yaml",
        AXOLOTL.replace("{", "{{").replace("}", "}}")
        + "adapter: lora\nlora_r: {rank}\nlora_alpha: {alpha}\npeft_use_rslora: {flag}\n",
    ),
    "torchtune": ("c.yaml", TORCHTUNE + "  lora_rank: {rank}\n  lora_alpha: {alpha}\n  apply_lora_to_mlp: {flag}\n"),
    "litgpt": ("c.yaml", LITGPT + "lora_r: {rank}\nlora_alpha: {alpha}\nlora_mlp: {flag}\n"),
    "adapterhub": ("a.py", "import adapters\nadapters.LoRAConfig(r={rank}, alpha={alpha}, output_lora={flag})"),
    "nemo_automodel": ("c.yaml", AUTOMODEL + "  dim: {rank}\n  alpha: {alpha}\n"),
    "llama_cookbook": (
        "run.sh",
        f"{COOKBOOK} --use_peft {{flag}} --lora_config.r {{rank}} --lora_config.lora_alpha {{alpha}}",
    ),
    "mlx_lm": ("c.yaml", MLX + "lora_parameters: {{rank: {rank}, scale: {alpha}, dropout: 0.0}}\n"),
    "keras": ("k.py", "import keras\nkeras.layers.Conv2D(4, 3, lora_rank={rank}, lora_alpha={alpha}, use_bias={flag})"),
    "loralib": ("l.py", "import loralib\nloralib.Linear(8, 8, r={rank}, lora_alpha={alpha}, bias={flag})"),
    "lycoris": ("l.py", LYCORIS + "linear_dim={rank}, linear_alpha={alpha}, rs_lora={flag})"),
    "kohya": ("run.sh", f"{KOHYA} --network_dim {{rank}} --network_alpha {{alpha}} --network_args rs_lora={{flag}}"),
}
"""Files with places for a rank, an alpha and a flag, which is rsLoRA where the framework has it."""

DRAWS = 12


def drawn(framework: str) -> list[tuple[str, str]]:
    """Files with numbers that nobody chose, the same ones in every run."""
    chance = random.Random(framework)
    file, text = DRAWN[framework]
    numbers = [(chance.randint(1, 40), chance.randint(1, 300), chance.choice(["True", "False"])) for _ in range(DRAWS)]
    return [(file, text.format(rank=rank, alpha=alpha, flag=flag)) for rank, alpha, flag in numbers]


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    """What frameworks make of their files: each is asked once for all of them, in a process of its own.

    A machine that can't get the packages skips the tests, unless they are demanded, as CI does.
    """
    demanded = os.environ.get("LORA_LINT_ORACLES")
    top = ROOT / (demanded or ".pytest_cache/oracles")
    running: dict[str, Future[Answers]] = {}
    with ThreadPoolExecutor(2) as pool:
        try:
            for framework in frameworks(request.session.items):
                running[framework] = pool.submit(answers, framework, folders(framework, top))
        except NotInstalledError as error:
            reason = f"NO FRAMEWORK WAS ASKED, the packages of {framework} can't be installed: {error}"
            if demanded or "CI" in os.environ:
                pytest.fail(reason)
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
        yield lambda framework: running[framework].result()


def frameworks(items: list[pytest.Item]) -> list[str]:
    """The frameworks that the tests of this run ask."""
    given: list[dict[str, Any]] = [
        item.callspec.params for item in items if isinstance(item, pytest.Function) and "asked" in item.fixturenames
    ]
    return list(dict.fromkeys(one["case"].framework if "case" in one else one["framework"] for one in given))


def answers(framework: str, packages: list[Path]) -> Answers:
    files = [(case.file, case.text) for case in CASES if case.framework == framework] + drawn(framework)
    paths = os.pathsep.join(map(str, [ROOT, *packages]))
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-m", "tests.oracles", framework],
        input=json.dumps(files),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(files, json.loads(done.stdout), strict=True))


def read(framework: str, file: str, text: str) -> Layers | None:
    """The ranks and scales of active layers that lora-lint reads; None where it says that the file won't do."""
    found = setups(file, text)
    assert {setup.framework for setup in found} <= {framework}
    sites = [site for setup in found for site in setup.sites]
    refused = any(key.reaction == "refuses to start" for setup in found for key in setup.unknown_keys)
    if refused or any(setup.bad_values for setup in found) or any(site.undecided for site in sites):
        return None
    return sorted({(int(site.rank.value), site.scale) for site in sites if site.state == "active"})


def same(one: Layers, other: Layers) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(r == q and math.isclose(s, t, rel_tol=1e-4) for (r, s), (q, t) in pairs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.framework}-{case.text[-60:]}")
def test_the_framework_and_lora_lint_make_the_same_of_a_file(case: Case, asked: Asked) -> None:
    answer = asked(case.framework)[case.file, case.text]
    found = read(case.framework, case.file, case.text)
    if isinstance(case.expected, str):
        assert case.expected in str(answer)
        assert found is None
    else:
        assert isinstance(answer, list), answer
        assert found is not None
        assert same(answer, case.expected), answer
        assert same(found, case.expected), found


@pytest.mark.parametrize("framework", DRAWN)
def test_they_make_the_same_of_any_rank_and_alpha(framework: str, asked: Asked) -> None:
    for file, text in drawn(framework):
        answer, found = asked(framework)[file, text], read(framework, file, text)
        assert isinstance(answer, list), answer
        assert found is not None
        assert same(found, answer), text
