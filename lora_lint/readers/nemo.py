"""NeMo 1: the tar that its trainers write, which holds a config and the weights of torch.save."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from lora_lint.document import UnreadableError
from lora_lint.readers.pickle import Saved, tensors_in
from lora_lint.readers.safetensors import LFS_POINTER, opened

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
"""`SaveRestoreConnector`: nemo/core/connectors/save_restore_connector.py:51-52 at 8cfedd72."""
MOST_MEMBERS = 1000
LARGEST_CONFIG = 4 * 2**20


class Archive(NamedTuple):
    """The text of the config, empty where there is none, and the tensors."""

    config: str
    tensors: Mapping[str, Saved]


def read(path: str | os.PathLike[str]) -> Archive:
    """The config and the tensors of the archive at `path`; a compressed one isn't read.

    Raises:
        UnreadableError: when it is no such archive, or its weights can't be read.
        OSError: when it can't be opened or read.
    """
    from tarfile import TarError, TarFile

    config, tensors = "", None
    with opened(path) as (descriptor, _), os.fdopen(os.dup(descriptor), "rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise UnreadableError("is a Git LFS pointer, not the file itself; run git lfs pull")
        file.seek(0)
        try:
            with TarFile(fileobj=file) as archive:
                for _ in range(MOST_MEMBERS):
                    member = archive.next()
                    content = archive.extractfile(member) if member is not None and member.isfile() else None
                    if member is None:
                        break
                    name = os.path.basename(member.name)
                    if content is not None and name == CONFIG:
                        config = content.read(LARGEST_CONFIG).decode()
                    elif content is not None and name == WEIGHTS:
                        tensors = tensors_in(content, member.size)
        except (TarError, UnicodeDecodeError, ValueError) as error:
            raise UnreadableError(f"is no archive of NeMo: {str(error)[:80]}") from None
    if tensors is None:
        raise UnreadableError(f"holds no {WEIGHTS}: the weights are in shards, or in a distributed checkpoint")
    return Archive(config, tensors)
