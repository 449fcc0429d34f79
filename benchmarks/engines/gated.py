"""NumPy: GRU and LSTM, layers and directions; a loop over time, other products merged.

A layer in one direction runs forward in time. The reverse direction gets each sequence reversed,
padding behind it, and what it puts out is reversed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shapes import Array, Problem

Parameters = dict[str, Array]


def logistic(a: Array) -> Array:
    """Return 1 / (1 + exp(-a)), by one tanh."""
    return 0.5 + 0.5 * np.tanh(0.5 * a)


@dataclass
class Track:
    """A layer in one direction, for the backward pass.

    Attributes
    ----------
    x : (T, B, I) its inputs.
    gates : (T, B, G M) their values; of a GRU r, z, n, of an LSTM i, f, g, o.
    extra : (T, B, M) of a GRU W11 h + b of the gate n, of an LSTM c.
    h : (T + 1, B, M) states, the one before the first step included.
    """

    x: Array
    gates: Array
    extra: Array
    h: Array


def forward(cell: str, x: Array, parameters: Parameters, suffix: str) -> Track:
    """Run a layer over time."""
    T, B, _ = x.shape
    into = np.ascontiguousarray(parameters[f"weight_hh{suffix}"].T)
    M = len(into)
    gates = x @ parameters[f"weight_ih{suffix}"].T + parameters[f"bias_h{suffix}"]
    track = Track(x, gates, np.zeros((T, B, M), x.dtype), np.zeros((T + 1, B, M), x.dtype))
    for t, (a, h) in enumerate(zip(gates, track.h, strict=False)):
        product = h @ into
        if cell == "rnn":
            track.h[t + 1] = a[:] = np.tanh(a + product)
        elif cell == "gru":
            a[:, : 2 * M] = logistic(a[:, : 2 * M] + product[:, : 2 * M])
            r, z = a[:, :M], a[:, M : 2 * M]
            track.extra[t] = product[:, 2 * M :] + parameters[f"bias_hn{suffix}"]
            n = a[:, 2 * M :] = np.tanh(a[:, 2 * M :] + r * track.extra[t])
            track.h[t + 1] = n + z * (h - n)
        else:
            a += product
            a[:, : 2 * M] = logistic(a[:, : 2 * M])
            a[:, 2 * M : 3 * M] = np.tanh(a[:, 2 * M : 3 * M])
            a[:, 3 * M :] = logistic(a[:, 3 * M :])
            i, f, g, o = np.split(a, 4, axis=1)
            track.extra[t] = i * g
            if t:
                track.extra[t] += f * track.extra[t - 1]
            track.h[t + 1] = o * np.tanh(track.extra[t])
    return track


def backward(
    cell: str, track: Track, dh: Array, parameters: Parameters, suffix: str, with_inputs: bool
) -> tuple[Parameters, Array | None]:
    """Return the gradients of a layer, and that of its inputs; dh (T, B, M) is from above."""
    weight_hh = parameters[f"weight_hh{suffix}"]
    T, B, M = dh.shape
    da = np.empty_like(track.gates)
    recurrent = np.empty_like(da) if cell == "gru" else da  # that of W11 h
    carry, dc = np.zeros((2, B, M), dh.dtype)
    for t in reversed(range(T)):
        gates, extra = track.gates[t], track.extra[t]
        dh_t = dh[t] + carry
        if cell == "rnn":
            da[t] = dh_t * (1 - gates**2)
        elif cell == "gru":
            r, z, n = np.split(gates, 3, axis=1)
            dn = dh_t * (1 - z) * (1 - n * n)
            da[t, :, :M] = dn * extra * r * (1 - r)
            da[t, :, M : 2 * M] = dh_t * (track.h[t] - n) * z * (1 - z)
            da[t, :, 2 * M :] = dn
            recurrent[t, :, : 2 * M] = da[t, :, : 2 * M]
            recurrent[t, :, 2 * M :] = dn * r
        else:
            i, f, g, o = np.split(gates, 4, axis=1)
            tanh_c = np.tanh(extra)
            dc = dc + dh_t * o * (1 - tanh_c * tanh_c)
            da[t, :, :M] = dc * g * i * (1 - i)
            da[t, :, M : 2 * M] = dc * track.extra[t - 1] * f * (1 - f) if t else 0
            da[t, :, 2 * M : 3 * M] = dc * i * (1 - g * g)
            da[t, :, 3 * M :] = dh_t * tanh_c * o * (1 - o)
            dc = dc * f
        carry = recurrent[t] @ weight_hh
        if cell == "gru":
            carry += dh_t * z
    rows = da.reshape(T * B, -1)
    recurrent_rows = recurrent.reshape(T * B, -1)
    gradients = {
        f"weight_ih{suffix}": rows.T @ track.x.reshape(T * B, -1),
        f"weight_hh{suffix}": recurrent_rows.T @ track.h[:-1].reshape(T * B, M),
        f"bias_h{suffix}": rows.sum(axis=0),
    }
    if cell == "gru":
        gradients[f"bias_hn{suffix}"] = recurrent_rows[:, 2 * M :].sum(axis=0)
    return gradients, da @ parameters[f"weight_ih{suffix}"] if with_inputs else None


class Gated:
    """The network of a problem; sequences are padded."""

    def __init__(self, problem: Problem, dtype: str, n_threads: int) -> None:
        X, Y = problem.data(dtype)
        self.problem = problem
        self.x = problem.padded(X)
        self.every = problem.readout == "every"
        assert not (problem.is_ragged and self.every), "padding would be read"
        targets = np.eye(problem.K, dtype=dtype)[Y] if problem.K > 1 else Y[:, None]
        self.target = problem.time_major_targets(targets)
        self.parameters = {n: a.copy() for n, a in problem.network(dtype).parameters.items()}

    def turned(self, suffix: str, rows: Array) -> Array:
        """Reverse every sequence of (T, B, ...) for the reverse direction."""
        if not suffix.endswith("_reverse"):
            return rows
        return rows[self.problem.backwards] if self.problem.is_ragged else rows[::-1]

    def layers(self) -> tuple[list[list[Track]], Array, Array]:
        """Return what each layer computed, in each direction; what is read; a2."""
        problem, x = self.problem, self.x
        tracks = []
        for suffixes in problem.suffixes:
            found = [
                forward(problem.cell, self.turned(suffix, x), self.parameters, suffix)
                for suffix in suffixes
            ]
            tracks.append(found)
            h = [self.turned(s, track.h[1:]) for s, track in zip(suffixes, found, strict=True)]
            x = np.concatenate(h, axis=-1)
        if not self.every:  # each direction's own last step
            x = np.concatenate([track.h[1:][problem.last_steps] for track in found], axis=-1)
        return tracks, x, x @ self.parameters["weight_ho"].T + self.parameters["bias_o"]

    def step(self) -> tuple[float, Parameters]:
        """Loss and gradients."""
        problem, M = self.problem, self.problem.M
        tracks, read, a2 = self.layers()
        output = self.output(a2)
        delta = output - self.target
        if problem.K > 1:
            places = self.target.astype(bool)
            most = a2.max(axis=-1, keepdims=True)
            logarithms = most[..., 0] + np.log(np.exp(a2 - most).sum(axis=-1))
            loss = float(logarithms.sum() - a2[places].sum())
        else:
            loss = float((delta * delta).sum() / 2)
        rows = delta.reshape(-1, problem.K)
        gradients = {
            "weight_ho": rows.T @ read.reshape(-1, problem.width),
            "bias_o": rows.sum(axis=0),
        }
        from_above = delta @ self.parameters["weight_ho"]
        for layer in reversed(range(problem.n_layers)):
            found: list[Any] = []
            for d, (suffix, track) in enumerate(
                zip(problem.suffixes[layer], tracks[layer], strict=True)
            ):
                own = from_above[..., d * M : (d + 1) * M]
                if own.ndim == 3:
                    dh = self.turned(suffix, own)
                else:
                    dh = np.zeros_like(track.h[1:])
                    dh[problem.last_steps] = own
                own_gradients, dx = backward(
                    problem.cell, track, dh, self.parameters, suffix, with_inputs=layer > 0
                )
                gradients |= own_gradients
                found.append(None if dx is None else self.turned(suffix, dx))
            if layer:
                from_above = sum(found)
        return loss, gradients

    def output(self, a2: Array) -> Array:
        """h2."""
        if self.problem.K == 1:
            return a2
        exponentials = np.exp(a2 - a2.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def forward(self) -> Array:
        """Outputs."""
        return self.output(self.layers()[2])

    def computed(self) -> dict[str, Any]:
        """Loss, gradients, outputs."""
        loss, gradients = self.step()
        return {"loss": loss, **gradients, "output": self.problem.rows(self.forward())}
