"""What several frameworks' commands have in common: the config file that a command names."""

from lora_lint.document import Document

_CONFIG_ENDINGS = (".yaml", ".yml", ".json", ".toml")


def config_file(document: Document) -> str | None:
    """The config file among the words or the `--config` of a command, whose values the flags override."""
    data = document.data if isinstance(document.data, dict) else {}
    named = (*document.words, *(data.get(key) for key in ("config", "config_file", "recipe")))
    return next((word for word in named if isinstance(word, str) and word.endswith(_CONFIG_ENDINGS)), None)
