"""Do the target modules mean what they say?"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from lora_lint import patterns
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Insert, Replace, Severity
from lora_lint.scaling import number
from lora_lint.tensors import Checkpoint

if TYPE_CHECKING:
    from lora_lint.base_model import BaseModel

_SEVERAL = re.compile(r"[\w.]+(?:\s*,\s*|\s+)[\w., ]+")
"""Names with commas or spaces between them: no module path holds either."""
_INNER = re.compile(r"[qkvo]_proj|(?:gate|up|down|out|qkv|gate_up)_proj|query_key_value|c_attn|W_pack|[wW]qkv")
"""Names of layers that stand inside of blocks in every model, so that no whole path is called so."""
_META = re.compile(r"[\\*+?|^$()\[\]{}]")


def target_list_syntax(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or setup.target_syntax not in ("peft", "unwrapped"):
        return
    if targets.regex is not None and (_SEVERAL.fullmatch(targets.regex.value) or _INNER.fullmatch(targets.regex.value)):
        yield Finding(
            f"target_modules is one regular expression, which no module path matches: {targets.regex.value!r}",
            at=targets.regex.path,
        )
    every = targets.all_linear
    if every is not None and every.path and isinstance(every.path[-1], int) and every.value.lower() == "all-linear":
        yield Finding(f"{every.value} is a name like any other in a list, and no module is called so", at=every.path)
    for name in targets.names:
        if patterns.is_plain(name.value):
            continue
        if _SEVERAL.fullmatch(name.value):
            yield Finding(f"target {name.value!r} is one name, and no module is called so", at=name.path)
        elif _META.search(name.value):
            yield Finding(
                f"target {name.value!r} is compared letter by letter in a list, not as a regular expression",
                at=name.path,
            )


_MOST_NAMES = 8
"""Of layers that a message lists."""
_MOST_DEAD = 20
"""Targets that are reported one by one."""


def target_matches_nothing(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or not setup.target_syntax or not (targets.names or targets.regex):
        return
    # What a trained adapter has tensors for is there, whatever its base is called.
    if (setup.checkpoint is not None and setup.checkpoint.tensors) or (base := setup.base) is None:
        return
    names = [name for name in targets.names if patterns.is_plain(name.value)]
    dead = [name for name in names if not base.kinds(name.value) - {"expert"}]
    level = Severity.WARNING if setup.trained else None
    if dead and len(dead) == len(targets.names) and targets.listed and not setup.adapter.target_parameters:
        several = f"none of the {len(dead)} targets is a layer" if len(dead) > 1 else f"{dead[0].value} is no layer"
        at = setup.adapter.target_modules.path if setup.adapter.target_modules is not None else ()
        yield Finding(f"{several} of {base.name}, {_which(base)}", at=at, severity=level)
    else:
        for name in dead[:_MOST_DEAD]:
            yield Finding(
                f"{base.name} has no {_shown(name)}{_meant(name, base)}", at=name.path, severity=Severity.WARNING
            )
    for name in names:
        if base.kinds(name.value) == {"block"}:
            yield Finding(f"{_shown(name)} is a block of layers, which PEFT refuses", at=name.path, severity=level)
    if targets.regex is not None and base.matches(targets.regex.value) is False:
        yield Finding(
            f"the expression matches no path of {base.name} that is known",
            at=targets.regex.path,
            severity=Severity.WARNING,
        )


def _which(base: "BaseModel") -> str:
    names = base.layer_names
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"whose layers are {', '.join(names[:_MOST_NAMES])}{more}"


def _meant(name: Fact[str], base: "BaseModel") -> str:
    """What to write in place of a target that isn't there."""
    if base.architecture.experts and name.value.rpartition(".")[2] in (*_IN_EXPERTS, "gate_up_proj"):
        return " among its modules: the weights of its experts are parameters, for target_parameters"
    from lora_lint.base_model import every_layer_name
    from lora_lint.spelling import nearest

    # The name of another architecture's layer is no slip of the pen: q_proj isn't meant for o_proj.
    last = name.value.rpartition(".")[2]
    known = nearest(last, base.layer_names) if last not in every_layer_name() else None
    return f"; {known} was likely meant" if known else f", {_which(base)}"


def _shown(name: Fact[str]) -> str:
    return name.value if len(name.value) <= 80 else f"{name.value[:80]}…"


def save_target_overlap(setup: Setup) -> Iterator[Finding]:
    if not setup.active or not setup.target_syntax or not setup.saved:
        return
    level = Severity.WARNING if setup.trained else None
    whole = {saved.value: saved for saved in setup.saved}
    covered = ((name, part) for name in setup.targets.names for part in _parts_of(name.value) if part in whole)
    for name, part in islice(covered, _MOST_DEAD):
        yield Finding(
            f"{_shown(name)} is in modules_to_save too: it is trained whole, and PEFT puts no LoRA on it",
            at=name.path,
            related=((whole[part].path, "saved whole"),),
            severity=level,
        )
    tokens = setup.adapter.trainable_token_indices
    if tokens is not None and isinstance(tokens.value, dict):
        for saved in setup.saved:
            if saved.value in tokens.value:
                message = (
                    f"{_shown(saved)} is trained whole, and some of its rows by trainable_token_indices: PEFT fails"
                )
                yield Finding(message, at=saved.path, related=((tokens.path, "rows"),))


def _parts_of(target: str) -> Iterator[str]:
    """The names of saved modules that would hold whatever a target names; PEFT tries `(^|.*\\.)SAVED($|\\..*)`."""
    parts = target.split(".", _DEEPEST)
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            yield ".".join(parts[start:end])


_DEEPEST = 20
"""Parts of a path, well beyond any model's."""


def target_parameters_incompatible(setup: Setup) -> Iterator[Finding]:
    adapter = setup.adapter
    stacked = adapter.target_parameters
    if stacked is None or not stacked.value or not setup.active:
        return
    if isinstance(stacked.value, str):
        yield Finding("target_parameters is one text; PEFT wants a list and fails", at=stacked.path)
    dropout = adapter.lora_dropout
    if dropout is not None and dropout.value > 0:
        written = dropout.origin == "written"
        yield Finding(
            f"lora_dropout is {number(dropout.value)}{'' if written else ' by default'}, and PEFT fails on "
            "target_parameters with any dropout",
            at=dropout.path if written else stacked.path,
            fix=Replace(dropout.path, "0.0") if written else Insert(stacked.path, dropout.key, "0.0"),
        )
    for word in ("use_dora", "lora_bias", "fan_in_fan_out"):
        fact = getattr(adapter, word)
        if fact is not None and fact.value:
            yield Finding(f"{word} is true, and PEFT fails on target_parameters with it", at=fact.path)


def layers_to_transform_misuse(setup: Setup) -> Iterator[Finding]:
    layers, pattern = setup.adapter.layers_to_transform, setup.adapter.layers_pattern
    if (layers is None and pattern is None) or not setup.active or not setup.target_syntax:
        return
    for name, fact in (("layers_to_transform", layers), ("layers_pattern", pattern)):
        if fact is not None and setup.targets.one_text and fact.value is not None:
            yield Finding(f"{name} is set while target_modules is one text, not a list: PEFT fails", at=fact.path)
    if pattern is not None and layers is None and pattern.value:
        yield Finding("layers_pattern is set without layers_to_transform: PEFT fails", at=pattern.path)
    if layers is None or (base := setup.base) is None or (depth := base.depth) is None:
        return
    chosen = layers.value if isinstance(layers.value, list) else [layers.value]
    beyond = [one for one in chosen if isinstance(one, int) and not 0 <= one < depth]
    if beyond:
        more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        yield Finding(
            f"{base.name} has layers 0 to {depth - 1}, none of which is {', '.join(map(str, beyond[:3]))}{more}",
            at=layers.path,
            severity=Severity.WARNING,
        )


def new_tokens_without_embeddings(setup: Setup) -> Iterator[Finding]:
    tokens = setup.training.new_tokens
    if tokens is None or not tokens.value or not setup.active or setup.fragment:
        return
    adapter, targets = setup.adapter, setup.targets
    if adapter.trainable_token_indices is not None or targets.unknown or targets.regex is not None:
        return
    if adapter.modules_to_save is not None and not adapter.modules_to_save.known:
        return
    from lora_lint.base_model import EMBEDDINGS

    trained = {name.value.rpartition(".")[2] for name in (*setup.saved, *targets.names)}
    if not trained & set(EMBEDDINGS):
        count = len(tokens.value) if isinstance(tokens.value, list) else 1
        yield Finding(
            f"{count} token{'s are' if count > 1 else ' is'} added, but neither modules_to_save nor the targets hold "
            "the embedding, so new rows of it stay as they were initialised",
            at=tokens.path,
        )


def tied_embeddings_partial(setup: Setup) -> Iterator[Finding]:
    from lora_lint.base_model import EMBEDDINGS, OUTPUTS

    trained = {name.value.rpartition(".")[2]: name for name in (*setup.targets.names, *setup.saved)}
    ends = [name for name in (*EMBEDDINGS, *OUTPUTS) if name in trained]
    if not ends or not setup.active or (base := setup.base) is None or not base.tied:
        return
    ensured, task = setup.adapter.ensure_weight_tying, setup.adapter.task_type
    if (ensured is not None and ensured.value) or (task is not None and task.value in _CLASSIFIES):
        return
    reward = setup.training.reward_model
    if reward is not None and reward.value:
        return
    kept = "the other keeps the old weight" if len(ends) == 1 else "each becomes a weight of its own"
    yield Finding(
        f"head and embedding of {base.name} share one weight, and {' and '.join(ends)} "
        f"{'is' if len(ends) == 1 else 'are'} trained: {kept}, and a merged model has one of them wrong",
        at=trained[ends[0]].path,
    )


_CLASSIFIES = ("SEQ_CLS", "TOKEN_CLS")
"""Tasks whose models have a head of their own, which PEFT saves by itself if it is `score` or `classifier`."""


def classifier_head_not_saved(setup: Setup) -> Iterator[Finding]:
    heads = [name for name in setup.targets.names if name.value in ("score", "classifier")]
    checkpoint = setup.checkpoint
    if not (heads or checkpoint) or not setup.active or (task := setup.adapter.task_type) is None:
        return
    if task.value not in _CLASSIFIES:
        saved = {name.value.rpartition(".")[2] for name in setup.saved} if heads else ()
        for name in heads:
            if name.value not in saved:
                yield Finding(
                    f"{name.value} gets LoRA while task_type is {task.value}: the random head below it isn't saved",
                    at=name.path,
                )
    elif checkpoint is not None and _lora_alone(checkpoint):
        yield Finding(
            f"task_type is {task.value}, but {checkpoint.files[0]} holds LoRA tensors alone, no trained head",
            at=task.path,
        )


def _lora_alone(checkpoint: Checkpoint) -> bool:
    whole = bool(checkpoint.tensors) and not checkpoint.unreadable and not checkpoint.missing_shards
    return whole and all("lora_" in name for name in checkpoint.tensors)


def embedding_or_head_targeted(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or not setup.target_syntax or setup.training.new_tokens is not None:
        return
    named = [name for name in targets.names if name.value in _SAVED_WHOLE]
    if named and not {name.value for name in named} <= {saved.value for saved in setup.saved}:
        names = " and ".join(dict.fromkeys(name.value for name in named))
        yield Finding(f"with {names} as target, PEFT saves embedding and head whole too", at=named[0].path)


_SAVED_WHOLE = ("embed_tokens", "lm_head")
"""`EMBEDDING_LAYER_NAMES` of PEFT: with either of them as a target, `save_embedding_layers` turns on by itself
(peft/utils/save_and_load.py:279 at 0.21.2)."""


def pattern_key_matches_nothing(setup: Setup) -> Iterator[Finding]:
    patterned = [fact for fact in (setup.adapter.rank_pattern, setup.adapter.alpha_pattern) if fact is not None]
    if not any(fact.value for fact in patterned) or not setup.active or setup.adapter.target_parameters is not None:
        return
    whole = setup.checkpoint is None or not (setup.checkpoint.unreadable or setup.checkpoint.missing_shards)
    modules = [module.module for module in setup.tensor_modules] if whole else []
    if not modules and not setup.targets.listed:
        return
    for fact in patterned:
        for key in islice(_dead_keys(fact.value, modules, setup), _MOST_DEAD):
            shown = key if len(key) <= 80 else f"{key[:80]}…"
            yield Finding(
                f"{shown} names no {'module with tensors' if modules else 'target'}, so it changes nothing",
                at=(*fact.path, key),
                severity=Severity.WARNING if setup.trained else None,
                on_key=True,
            )


def _dead_keys(keys: Mapping[str, object], modules: list[str], setup: Setup) -> Iterator[str]:
    """The keys that are names and end like no module; those that are regular expressions aren't judged."""
    ends = {".".join(parts[at:]) for module in modules for parts in [module.split(".")] for at in range(len(parts))}
    last = {name.value.rpartition(".")[2] for name in setup.targets.names}
    for key in keys:
        if isinstance(key, str) and patterns.is_plain(key):
            known = key in ends if modules else key.rpartition(".")[2] in last
            if not known:
                yield key


def router_adapted(setup: Setup) -> Iterator[Finding]:
    named = [name for name in setup.targets.names if name.value.rpartition(".")[2] in _ROUTERS]
    every = setup.targets.all_linear if setup.targets.one_text else None
    if (
        not (named or every)
        or not setup.active
        or not setup.target_syntax
        or setup.trained
        or (base := setup.base) is None
    ):
        return
    routers = base.architecture.routers
    if not routers or setup.adapter.exclude_modules is not None:
        return
    for name in named:
        if base.kinds(name.value) & {"router", "former"}:
            yield Finding(f"{_shown(name)} chooses among the experts of {base.name}, and gets LoRA too", at=name.path)
    if every is not None and base.architecture.converted:
        yield Finding(f"{every.value} takes in what chooses among the experts of {base.name}", at=every.path)


_ROUTERS = ("gate", "router")


def moe_experts_not_adapted(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    named = {last: name for name in targets.names if (last := name.value.rpartition(".")[2]) in _IN_EXPERTS}
    every = targets.all_linear
    if not (named or every) or not setup.active or not setup.target_syntax or setup.trained:
        return
    if (base := setup.base) is None or not base.architecture.experts:
        return
    stacked, otherwise = setup.adapter.target_parameters, setup.adapter.adapts_experts
    if (stacked is not None and stacked.value) or (otherwise is not None and otherwise.value):
        return
    if base.architecture.converted:
        halves = [pair for pair in _PAIRS if targets.listed and len(named.keys() & set(pair)) == 1]
        for given, other in (pair if pair[0] in named else pair[::-1] for pair in halves):
            if base.kinds(named[given].value) and base.kinds(other):
                yield Finding(
                    f"{given} without {other}: in transformers 5 {base.name} has both in one parameter, and PEFT fails",
                    at=named[given].path,
                    severity=Severity.WARNING,
                )
    elif not base.architecture.formerly and all("layer" in base.kinds(name.value) for name in named.values()):
        what = every.value if every is not None else ", ".join(name.value for name in named.values())
        at = (every or next(iter(named.values()))).path
        yield Finding(
            f"{what}: nothing of it is in the routed experts of {base.name}, which are parameters; if they were meant, "
            "target_parameters names them",
            at=at,
            severity=Severity.NOTE,
        )


_PAIRS = (("gate_proj", "up_proj"), ("w1", "w3"))
_IN_EXPERTS = ("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")


def vlm_suffix_collision(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.target_syntax not in ("peft", "unwrapped") or setup.trained or not setup.targets.names:
        return
    if (base := setup.base) is None or not base.architecture.tower or setup.adapter.exclude_modules is not None:
        return
    both = [name for name in setup.targets.names if {"layer", "tower"} <= base.kinds(name.value)]
    if both:
        names = ", ".join(_shown(name) for name in both[:4])
        yield Finding(
            f"{names}: so are layers of {base.name}'s vision tower called, not those of its language model alone",
            at=both[0].path,
        )


def rank_exceeds_dimension(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.checkpoint is None:
        return
    beyond = []
    for module in setup.tensor_modules:
        a, b = module.a, module.b
        if a is None or b is None or len(a.shape) != 2 or len(b.shape) != 2 or module.of_parameter:
            continue
        if a.shape[0] == b.shape[1] > min(a.shape[1], b.shape[0]) > 0:
            beyond.append((module.module, a, min(a.shape[1], b.shape[0])))
    if beyond:
        name, a, least = beyond[0]
        more = f", and of {len(beyond) - 1} more" if len(beyond) > 1 else ""
        yield Finding(
            f"rank {a.shape[0]} of {name[:80]}{more} is more than the {least} that its weight can have",
            file=a.file,
            tensor=a.name,
        )


def variant_unsupported_layer(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.trained or (base := setup.base) is None:
        return
    transposed, dora = setup.adapter.fan_in_fan_out, setup.adapter.use_dora
    if dora is not None and dora.value and base.quantised in _WITHOUT_DORA:
        yield Finding(f"use_dora on a base in {base.quantised.upper()}: PEFT fails", at=dora.path)
    wanted = base.architecture.conv1d
    if transposed is not None and transposed.origin == "written" and transposed.value is not wanted:
        layers = "Conv1D, whose weights are transposed" if wanted else "nn.Linear, whose weights aren't transposed"
        yield Finding(
            f"fan_in_fan_out is {str(transposed.value).lower()}, but {base.name} has {layers}: PEFT corrects it",
            at=transposed.path,
            severity=Severity.NOTE,
            fix=Replace(transposed.path, _boolean(setup, wanted)),
        )


_WITHOUT_DORA = ("gptq", "awq", "aqlm", "eetq")
"""peft/tuners/lora/{gptq,awq,aqlm,eetq}.py at 0.21.2 raise for it."""


def _boolean(setup: Setup, value: bool) -> str:
    return str(value) if setup.document.syntax == "python" else str(value).lower()
