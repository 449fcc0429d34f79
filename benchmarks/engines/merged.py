"""PyTorch with the recurrence written by hand: the weight gradients are one product over all steps.

What a careful user of PyTorch could write. The input product of all steps goes first; a step is a
product added in place and a tanh in place; the backward loop computes da_t alone. States and deltas
lie in memory asked for once, and the views of their steps are made once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from engines.pytorch import Equal
from shapes import Problem

# da_t = dh_t (1 - h_t^2) in one pass, in place.
times_slope = torch.ops.aten.tanh_backward.grad_input._op


class Memory:
    """States h and deltas da (T, B, M), with views of their steps and of all their rows."""

    def __init__(self, T: int, B: int, M: int, dtype: torch.dtype) -> None:
        self.h = torch.empty(T, B, M, dtype=dtype)
        self.da = torch.empty(T, B, M, dtype=dtype)
        self.h_rows, self.da_rows = self.h.view(T * B, M), self.da.view(T * B, M)
        self.h_before, self.da_after = self.h_rows[: (T - 1) * B], self.da_rows[B:]
        self.h_steps, self.da_steps = list(self.h.unbind()), list(self.da.unbind())


class Recurrence(Function):
    """x (T B, D) and the hidden parameters to h (T B, M), or to the last h (B, M)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_h: Tensor,
        memory: Memory,
        every: bool,
    ) -> Tensor:
        torch.addmm(bias_h, x, weight_ih.t(), out=memory.h_rows)
        into = weight_hh.t()
        h_t = memory.h_steps[0].tanh_()
        for a_t in memory.h_steps[1:]:
            h_t = a_t.addmm_(h_t, into).tanh_()
        ctx.x, ctx.weight_hh, ctx.memory, ctx.every = x, weight_hh, memory, every
        return (memory.h_rows if every else h_t).detach()

    @staticmethod
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor | None, ...]:
        memory, weight_hh = ctx.memory, ctx.weight_hh
        h, da = memory.h_steps, memory.da_steps
        T, B = len(h), len(h[0])
        last = dh[(T - 1) * B :] if ctx.every else dh
        da_t = times_slope(last, h[-1], grad_input=da[-1])
        if ctx.every:
            dh_steps = dh.view_as(memory.h).unbind()
            for t in range(T - 2, -1, -1):
                da_t = torch.addmm(dh_steps[t], da_t, weight_hh, out=da[t])
                times_slope(da_t, h[t], grad_input=da_t)
        else:
            for t in range(T - 2, -1, -1):
                da_t = torch.mm(da_t, weight_hh, out=da[t])
                times_slope(da_t, h[t], grad_input=da_t)
        return (
            None,
            memory.da_rows.t() @ ctx.x,
            memory.da_after.t() @ memory.h_before,
            memory.da_rows.sum(0),
            None,
            None,
        )


class Merged(Equal):
    """nn.RNN replaced by the recurrence above; readout and loss stay torch's."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        super().__init__(problem, dtype, n_threads)
        self.memory = Memory(problem.T, problem.B, problem.M, getattr(torch, dtype))
        self.x_rows = self.x.view(-1, problem.D)
        names = ("weight_ih", "weight_hh", "bias_h")
        self.hidden: list[nn.Parameter] = [self.named[name] for name in names]

    def logits(self) -> Tensor:
        return self.readout(Recurrence.apply(self.x_rows, *self.hidden, self.memory, self.every))
