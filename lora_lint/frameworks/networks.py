"""The network modules of sd-scripts and LyCORIS: the algorithm, and the parts with a rank or an alpha of their own."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from lora_lint.document import Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.network_args import UNREAD, Arguments, as_number, number_of, numbers_of
from lora_lint.scaling import classic, rslora

DEFAULT_RANK = 4
DEFAULT_ALPHA = 1.0
"""networks/lora.py:429-432 at 48d368fa and lycoris/kohya.py:38-39 at f49d30d."""

_LORA = ("lora", "locon", "dylora")
"""Algorithms that train two matrices whose product is scaled by alpha over rank."""


def algorithm(name: str) -> tuple[str, State]:
    """The method and the state that a LyCORIS algorithm or the last part of a network module's name stands for.

    LoHa, LoKr, (IA)3, OFT and full matrices have other products, for which alpha over rank means something else, or
    nothing: LyCORIS sets the alpha of a LoKr without factors to its rank (lycoris/modules/lokr.py:209 at f49d30d).
    """
    if name.startswith("lora") or name in ("locon", "locon_kohya"):
        return "lora", "active"
    return name, "active" if name in _LORA else "not-lora"


_BLOCK_WEIGHTS = ("down_lr_weight", "mid_lr_weight", "up_lr_weight")
"""Learning rates of blocks, which have ranks and alphas of blocks read as `block_dims` has (networks/lora.py:449)."""

_WITHOUT_CONV = ("full-lin", "attn-mlp", "attn-only", "unet-transformer-only")
"""Presets of LyCORIS that leave 3x3 convolutions alone (lycoris/config.py at f49d30d)."""


@dataclass(frozen=True)
class Network:
    """A network module with its rank, alpha and arguments."""

    module: str
    rank: Fact[Any]
    alpha: Fact[Any]
    arguments: Arguments

    def sites(self) -> Iterator[Site]:
        lycoris = self.module.partition(".")[0] == "lycoris"
        name = self.module.rpartition(".")[2]
        if lycoris and name == "kohya":
            algo = self.arguments.get("algo")
            if UNREAD in self.arguments or (algo is not None and not algo.known):
                undecided: Fact[Any] = Fact(
                    Unknown("", "network_args choose the algorithm"), self.alpha.path, "unknown"
                )
                yield Site(("*",), self.rank, undecided, classic)
                return
            name = str(algo.value).lower() if algo is not None else "lora"
        method, state = algorithm(name)
        plain = self._site(("*",), self.rank, self.alpha, method, state)
        yield from (plain,) if lycoris else self._blocks(plain)
        yield from self._conv(plain, lycoris=lycoris)
        if not lycoris:
            yield from self._parts(plain)

    def _site(
        self, modules: tuple[str, ...], rank: Fact[Any], alpha: Fact[Any], method: str = "lora", state: State = "active"
    ) -> Site:
        """Alpha 0 means the rank: networks/lora.py:71, lycoris/modules/locon.py:140."""
        lycoris = self.module.startswith("lycoris")
        if alpha.known and alpha.value == 0:
            alpha = from_rank(rank, alpha.path)
        if rank.known and rank.value == 0:
            state = "off"
        if method == "lora" and lycoris and self._is_true("dora_wd"):
            method = "dora"
        formula = rslora if lycoris and self._is_true("rs_lora") and method != "dylora" else classic
        return Site(modules, rank, alpha, formula, state, method)

    def _is_true(self, key: str) -> bool:
        """Any text but "false" is true: lycoris/utils/__init__.py:44 at f49d30d."""
        fact = self.arguments.get(key)
        return fact is not None and fact.known and str(fact.value).lower() != "false"

    def _conv(self, plain: Site, *, lycoris: bool) -> Iterator[Site]:
        """3x3 convolutions: sd-scripts adapts them when given a rank, LyCORIS always, with the values of the others.

        networks/lora.py:435-442, lycoris/kohya.py:40-41.
        """
        preset = self.arguments.get("preset")
        if lycoris and preset is not None and preset.known and preset.value in _WITHOUT_CONV:
            return
        rank, alpha = number_of(self.arguments, "conv_dim"), number_of(self.arguments, "conv_alpha")
        ranks = [] if lycoris else numbers_of(self.arguments, "conv_block_dims")
        if self.module.endswith("networks.dylora") or (rank is None and not ranks and (alpha is None or not lycoris)):
            # DyLoRA's convolutions have the rank and the alpha of the rest: networks/dylora.py:196-213.
            return
        rank = rank or self.rank
        if alpha is None and lycoris:
            alpha = self._shared_alpha()
        elif alpha is None:
            alpha = Fact(DEFAULT_ALPHA, rank.path, "default", key="conv_alpha")
        if ranks and self._has_blocks():
            yield from self._grouped(
                "conv.blocks", ranks, numbers_of(self.arguments, "conv_block_alphas"), alpha, plain
            )
        elif rank is not self.rank or lycoris:
            yield self._site(("conv",), rank, alpha, plain.method, plain.state)

    def _has_blocks(self) -> bool:
        return any(key in self.arguments for key in ("block_dims", *_BLOCK_WEIGHTS))

    def _blocks(self, plain: Site) -> Iterator[Site]:
        """The blocks of a U-Net by their rank and alpha; the others are left with the text encoder.

        Without ranks or learning rates of their own their alphas aren't read: networks/lora.py:449 and 515-582.
        """
        ranks, alphas = numbers_of(self.arguments, "block_dims"), numbers_of(self.arguments, "block_alphas")
        if self._has_blocks() and (ranks or alphas):
            yield replace(plain, modules=("text_encoder",))
            yield from self._grouped("blocks", ranks or [self.rank] * len(alphas), alphas, self._shared_alpha(), plain)
        else:
            yield plain

    def _grouped(
        self, name: str, ranks: list[Fact[Any]], alphas: list[Fact[Any]], alpha: Fact[Any], plain: Site
    ) -> Iterator[Site]:
        """One site for all blocks with the same rank and alpha; `alpha` is theirs where none are given."""
        groups: dict[tuple[float, float], tuple[list[str], Fact[Any], Fact[Any]]] = {}
        for at, (rank, own) in enumerate(zip(ranks, alphas or [alpha] * len(ranks), strict=False)):
            key = (rank.value if rank.known else -1, own.value if own.known else -1)
            groups.setdefault(key, ([], rank, own))[0].append(f"{name}.{at}")
        for names, rank, own in groups.values():
            yield self._site(tuple(names), rank, own, plain.method, plain.state)

    def _parts(self, plain: Site) -> Iterator[Site]:
        """Ranks of parts of a transformer, all with the one alpha: networks/lora_flux.py:466-490 and 841-869."""
        for key in self.arguments:
            if key.endswith("_dim") and key != "conv_dim" and (rank := number_of(self.arguments, key)) is not None:
                yield self._site((key.removesuffix("_dim"),), rank, self._shared_alpha(), plain.method, plain.state)
        patterns = self.arguments.get("network_reg_dims")
        for item in str(patterns.value).split(",") if patterns is not None and patterns.known else ():
            pattern, equals, text = item.rpartition("=")
            if patterns is not None and equals:
                rank = as_number(text, patterns)
                yield self._site((pattern,), rank, self._shared_alpha(), plain.method, plain.state)

    def _shared_alpha(self) -> Fact[Any]:
        """The one alpha, which can't be rewritten for one part alone."""
        return replace(self.alpha, origin="derived") if self.alpha.origin == "written" else self.alpha
