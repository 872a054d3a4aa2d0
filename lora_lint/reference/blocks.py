"""Two weights, block by block of their rows, on the device that measures them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lora_lint.reference.stored import Rows
from lora_lint.reference.threads import aside, in_shares, usual_threads

BLOCK = {"cpu": 2**18, "cuda": 2**23, "mps": 2**24}
"""Entries of a block, on a CPU for each of its threads.

Those of two threads stay in the cache between subtraction, product and norm: 128 rows of 4096 were the fastest of 32 to
2048. Many threads wait for each other between operations, and longer ones count for more than the cache: with 16,
8.6 GB took 0.6 s in blocks of 2**22, and 2.7 s in those of 2**19. On other devices a block is large enough to hide the
launches, and small enough to be page-locked once for every thread.
"""

Passed = Callable[[int], None]
"""Told after every block how many bytes of the weights are done with, so that mapped pages can go."""


class Block(NamedTuple):
    """Some rows of two weights in the precision to work in; `weight` has every n-th row of the base, as was asked."""

    start: int
    change: Tensor
    weight: Tensor


Visit = Callable[[Block], Tensor]


def nobody(_: int) -> None:
    """Weights that are in memory anyway."""


_copy = torch.ops.aten.copy_.default
_every = torch.ops.aten.slice.Tensor
"""`Tensor.copy_` and slicing less their question for a driver, which without a GPU fails even for fake tensors."""


def sweep(base: Rows, merged: Rows, like: Tensor, passed: Passed, visit: Visit, *, stride: int = 1) -> list[Tensor]:
    """What `visit` makes of each block, in order, on the device and in the dtype of `like`."""
    count = base.shape[0]
    columns = base.shape[1:].numel()
    entries = BLOCK.get(like.device.type, BLOCK["cpu"]) * (usual_threads() if like.device.type == "cpu" else 1)
    step = min(count, max(1, entries // max(1, columns)))
    starts = range(0, count, step)
    size = (base.nbytes + merged.nbytes) / max(1, count)

    def share(own: range) -> list[Tensor]:
        room = torch.empty(step, columns, dtype=like.dtype, device=like.device)
        found = []
        with torch.no_grad():
            for block in filled(base, merged, room, own, stride=stride):
                found.append(visit(block))
                passed(int(size * block.change.shape[0]))
        return found

    return in_shares(starts, like.device, share)


def filled(base: Rows, merged: Rows, room: Tensor, starts: range, *, stride: int = 1) -> Iterator[Block]:
    """The blocks that begin at `starts`, whose change lies in `room`, (rows, columns), until the next one is made.

    Two numbers of 16 bits are subtracted in 16 bits, which is faster: what that rounds away is to the rounding of the
    merged weight as the change is to the weight. What comes from a CPU to a GPU passes through page-locked memory on a
    stream of its own, so that a block is read and copied while the one before it is computed with.
    """
    step, count = room.shape[0], base.shape[0]
    first = [weight.rows(0, min(1, count)) for weight in (base, merged)]
    piped = type(room) is Tensor and room.is_cuda and not any(rows.is_cuda for rows in first)
    slots = [_Slot.like(room, first) for _ in range(2)] if piped else []
    stream = torch.cuda.Stream(room.device) if piped else None  # type: ignore[no-untyped-call]
    if stream is not None:
        # The slots may lie where another thread's did, whose last block is still being computed with.
        stream.wait_stream(torch.cuda.current_stream(room.device))
    # `to` a device would ask for a driver where tensors are fake; `to` a tensor on it doesn't.
    kinds = [torch.empty(0, dtype=rows.dtype, device=room.device) for rows in first]
    alike = first[0].dtype == first[1].dtype and first[0].itemsize == 2
    narrow = torch.empty(room.shape if alike else 0, dtype=first[0].dtype, device=room.device)
    for index, start in enumerate(starts):
        length = min(step, count - start)
        here = [weight.rows(start, length) for weight in (base, merged)]
        if stream is not None:
            there = slots[index % 2].sent(here, stream)
        else:
            there = [rows.to(kind) for rows, kind in zip(here, kinds, strict=True)]
        change = room.narrow(0, 0, length)
        if alike:
            _copy(change, torch.sub(there[1], there[0], out=narrow.narrow(0, 0, length)))
        else:
            _copy(change, there[1]).sub_(there[0].to(change))
        block = Block(start, change, _every(there[0], 0, 0, length, stride).to(change))
        if stream is not None:
            slots[index % 2].read.record(torch.cuda.current_stream(room.device))
        yield block


@dataclass(frozen=True, eq=False)
class _Slot:
    """Room for one block of two weights, page-locked here and on the GPU, and when each may be written again."""

    here: list[Tensor]
    there: list[Tensor]
    copied: torch.cuda.Event
    read: torch.cuda.Event

    @classmethod
    def like(cls, room: Tensor, rows: list[Tensor]) -> "_Slot":
        return cls(
            [torch.empty(room.shape, dtype=one.dtype, device="cpu", pin_memory=True) for one in rows],
            [torch.empty(room.shape, dtype=one.dtype, device=room.device) for one in rows],
            torch.cuda.Event(),  # type: ignore[no-untyped-call]
            torch.cuda.Event(),  # type: ignore[no-untyped-call]
        )

    def sent(self, blocks: list[Tensor], stream: torch.cuda.Stream) -> list[Tensor]:
        """The blocks on the GPU, once the current stream gets there."""
        length = blocks[0].shape[0]
        with aside():
            self.copied.synchronize()  # the copy before the last has left the page-locked memory
            for room, block in zip(self.here, blocks, strict=True):
                room[:length].copy_(block)
        with torch.cuda.stream(stream):
            stream.wait_event(self.read)  # and what was computed with it has read the memory of the GPU
            for source, target in zip(self.here, self.there, strict=True):
                target[:length].copy_(source[:length], non_blocking=True)
            self.copied.record(stream)
        torch.cuda.current_stream(self.there[0].device).wait_event(self.copied)
        return [room[:length] for room in self.there]
