"""The house policy: what the scale, or alpha itself, ought to be."""

import math
from dataclasses import dataclass
from typing import Self

from lora_lint.facts import Site, UnknownFact


@dataclass(frozen=True, slots=True)
class Policy:
    """`2r` (scale 2 at any rank, the default), `r` (scale 1), `scale:S`, or `fixed:N` (alpha N whatever the rank)."""

    text: str
    wanted_scale: float | None
    fixed_alpha: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Raises:
            ValueError: for anything but the four forms.
        """
        if text in ("2r", "r"):
            return cls(text, 2.0 if text == "2r" else 1.0)
        form, _, value = text.partition(":")
        try:
            given = float(value)
        except ValueError:
            given = math.nan
        if form not in ("scale", "fixed") or not math.isfinite(given) or given <= 0:
            raise ValueError(f"the policy is {text!r}; it can be 2r, r, scale:S or fixed:N")
        return cls(text, given) if form == "scale" else cls(text, None, given)

    def scale(self, site: Site) -> float:
        """The scale that the site ought to have.

        Raises:
            UnknownFact: under `fixed:N` when the rank is unknown.
        """
        if self.wanted_scale is not None:
            return self.wanted_scale
        assert self.fixed_alpha is not None
        return site.formula(self.fixed_alpha, site.rank.value)

    def alpha(self, site: Site) -> float:
        """The alpha that gives the wanted scale at the site's rank.

        Raises:
            UnknownFact: when the rank is unknown.
        """
        if self.fixed_alpha is not None:
            return self.fixed_alpha
        assert self.wanted_scale is not None
        return site.formula.alpha_for(self.wanted_scale, site.rank.value)

    def holds(self, site: Site) -> bool:
        """
        Raises:
            UnknownFact: when the site doesn't settle it.
        """
        if self.fixed_alpha is not None and site.alpha is not None:
            alpha = site.alpha.value
            if alpha is None:
                raise UnknownFact("alpha is null")
            return math.isclose(alpha, self.fixed_alpha, rel_tol=1e-6)
        return math.isclose(site.scale, self.scale(site), rel_tol=1e-6)

    def __str__(self) -> str:
        return self.text
