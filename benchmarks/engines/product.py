"""A square matrix product: what the machine gives, through NumPy's BLAS or through PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from shapes import Array, Problem

SIZE = 1024
FLOPS = 2 * SIZE**3


class Product:
    """A product of two matrices of 1024 x 1024 by NumPy; the problem does not matter."""

    def __init__(self, problem: Problem | None, dtype: str, n_threads: int) -> None:
        self.a, self.b = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(dtype)
        self.product = np.empty_like(self.a)

    def step(self) -> Array:
        """The product."""
        return np.matmul(self.a, self.b, out=self.product)

    def computed(self) -> dict[str, Any]:
        """Nothing that another engine has."""
        return {}


class TorchProduct(Product):
    """The same by PyTorch, whose BLAS may have chosen wider instructions."""

    def __init__(self, problem: Problem | None, dtype: str, n_threads: int) -> None:
        import torch

        super().__init__(problem, dtype, n_threads)
        torch.set_num_threads(n_threads)
        tensors = map(torch.from_numpy, (self.a, self.b, self.product))
        self.tensor_a, self.tensor_b, self.out = tensors
        self.mm = torch.mm

    def step(self) -> Any:
        """The product."""
        return self.mm(self.tensor_a, self.tensor_b, out=self.out)
