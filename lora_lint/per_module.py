"""How one LoraConfig gives every module its rank and alpha."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lora_lint import patterns
from lora_lint.document import Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.once import for_each, once
from lora_lint.scaling import Formula, classic, rslora
from lora_lint.tensors import LoraTensors
from lora_lint.view import View

_MAKES_FROM_WEIGHTS = re.compile("convert|extract|merge|svd|weighted", re.IGNORECASE)


@for_each
def _by_own_names(modules: Sequence[LoraTensors]) -> Mapping[str, str]:
    return {module.module: module.module for module in modules}


class PerModule:
    """The settings of one config, and the sites that its modules fall into."""

    def __init__(self, config: View[Any]) -> None:
        self.config = config
        model = config.model
        self.rank: Fact[Any] = config.fact("r")
        self.alpha: Fact[Any] = config.fact("lora_alpha")
        self.formula: Formula = rslora if model.use_rslora else classic
        self.method = "dora" if model.use_dora else "lora"
        self.rank_pattern = model.rank_pattern or {}
        self.alpha_pattern = model.alpha_pattern or {}
        self.rank_keys, self.alpha_keys = patterns.Keys(self.rank_pattern), patterns.Keys(self.alpha_pattern)
        names = () if config.settled else ("use_rslora", "rank_pattern", "alpha_pattern")
        self.undecided = next((fact for name in names if not (fact := config.fact(name)).known), None)

    def real_modules(self) -> Mapping[str, str] | None:
        """The modules that the tensors beside the config name, and the names by which patterns find them."""
        if self.config.checkpoint is None or not self.config.checkpoint.tensors:
            return None
        from lora_lint.modules import modules_of

        modules = modules_of(self.config.checkpoint.tensors)
        if not self.config.model.target_parameters:
            return _by_own_names(modules) or None
        found: dict[str, str] = {}
        for module in modules:
            found |= self.parameters(module.module) if module.of_parameter else {module.module: module.module}
        return found or None

    def parameters(self, module: str) -> dict[str, str]:
        """A module whose parameters are adapted: one name where all share rank and alpha, else a name for each.

        PEFT matches patterns against `module.parameter` there (lora/model.py:234 at 0.21.2).
        """
        split = [target.rpartition(".") for target in self.config.model.target_parameters or ()]
        named = [f"{module}.{last}" for owner, _, last in split if module == owner or module.endswith(f".{owner}")]
        keys = set(map(self.keys, named))
        return {module: named[0] if named else module} if len(keys) <= 1 else {name: name for name in named}

    def keys(self, name: str) -> tuple[str | None, str | None]:
        """The keys of `rank_pattern` and of `alpha_pattern` that name a module."""
        return self.rank_keys.first_match(name), self.alpha_keys.first_match(name)

    def grouped(self, modules: Mapping[str, str]) -> Iterator[Site]:
        """Modules that share rank and alpha, as PEFT gives them, share a site."""
        if not (self.rank_pattern or self.alpha_pattern):
            yield self.site(tuple(modules), None, None)
            return
        groups: dict[tuple[str | None, str | None], list[str]] = {}
        for module, name in modules.items():
            groups.setdefault(self.keys(name), []).append(module)
        for (rank_key, alpha_key), members in groups.items():
            yield self.site(tuple(members), rank_key, alpha_key)

    def as_written(self) -> Iterator[Site]:
        """Without tensors the targets and the pattern keys stand for the modules."""
        targets = self.targets()
        keys = list(dict.fromkeys((*self.rank_pattern, *self.alpha_pattern)))
        if not keys:
            yield self.site(targets, None, None)
            return
        literal = dict.fromkeys(target for target in targets if patterns.is_plain(target))
        plain = len(literal) == len(set(targets))
        yield from self.grouped({name: name for name in literal}) if plain else [self.site(targets, None, None)]
        for key in keys:
            if key in literal or key in self.rank_keys.faults or key in self.alpha_keys.faults:
                continue
            if patterns.is_plain(key):
                yield self.site((key,), *self.keys(key))
            else:
                yield self._regex_site(key)

    def _regex_site(self, key: str) -> Site:
        """Modules that only a regular expression names: decided when both patterns agree on who is meant."""
        in_rank, in_alpha = key in self.rank_pattern, key in self.alpha_pattern
        site = self.site((key,), key if in_rank else None, key if in_alpha else None)
        other = self.rank_pattern if not in_rank else self.alpha_pattern
        if (in_rank and in_alpha) or not other:
            return site
        unknown: Fact[Any] = Fact(
            Unknown(key, f"which modules {key} matches needs the model"), site.rank.path, "unknown"
        )
        if in_rank:
            return Site(site.modules, site.rank, unknown, site.formula, method=site.method, pattern=True)
        return Site(site.modules, unknown, site.alpha, site.formula, method=site.method, pattern=True)

    def targets(self) -> tuple[str, ...]:
        model = self.config.model
        targets = model.target_modules
        named = (targets,) if isinstance(targets, str) else tuple(targets or ())
        return (*named, *(model.target_parameters or ())) or ("*",)

    def site(self, modules: tuple[str, ...], rank_key: str | None, alpha_key: str | None) -> Site:
        path = self.config.path
        rank, alpha = self.rank, self.alpha
        if rank_key is not None:
            rank = Fact(self.rank_pattern[rank_key], (*path, "rank_pattern", rank_key))
        if alpha_key is not None:
            alpha = Fact(self.alpha_pattern[alpha_key], (*path, "alpha_pattern", alpha_key))
        if self.undecided is not None:
            alpha = Fact(Unknown("", self.undecided.reason), alpha.path, "unknown")
        return Site(
            modules,
            rank,
            alpha,
            self.formula,
            state=self.state(),
            method=self.method,
            folded=self.folded,
            pattern=rank_key is not None or alpha_key is not None,
        )

    def state(self) -> State:
        """An Arrow router only holds a place: its tensors are made from other adapters (tuners/lora/arrow.py)."""
        if not self.config.has("arrow_config"):
            return "active"
        arrow = self.config.fact("arrow_config")
        return "active" if arrow.known and arrow.value is None else "not-lora"

    @once
    def folded(self) -> bool:
        """Whether alpha equal to rank is right by construction.

        LoftQ's init leaves the scale out of A and B; extraction and conversion write the same numbers into both
        patterns, and code that turns weights into an adapter has the scale in them already.
        """
        return (
            _MAKES_FROM_WEIGHTS.search(self.config.document.scope) is not None
            or self.config.model.init_lora_weights == "loftq"
            or (bool(self.rank_pattern) and self.rank_pattern == self.alpha_pattern)
        )
