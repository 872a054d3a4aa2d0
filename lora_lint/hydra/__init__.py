"""Configs that are composed of several files, as Hydra's defaults lists and NeMo-RL's inheritance do it."""
