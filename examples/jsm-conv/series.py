# SPDX-License-Identifier: Apache-2.0
"""What the three tasks share: reading and writing the claim, gaps, and the model that fills them.

A series is float32, (channels, steps), NaN where nothing is known. The model is a ridge regression on
random sparse convolutions, solved once for each channel and round: every round fills the gaps again
from what the round before had filled, and the first one from straight lines.

Nothing here depends on the clock, on threads or on the order of a directory: the same input makes the
same bytes. The sums are done by einsum and not by BLAS, so that they cost the same with every BLAS.
"""

import os

# Read by numpy when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pathlib
import sys
import zipfile

import numpy as np

# Where pipeline.yaml mounts the claim.
CLAIM = pathlib.Path("/home/dblab/nfs/kubeflow-user-example-com-jsm-conv-"
                     "pvc-cf15ffb3-21b7-4978-93b3-5a58cd2a67f3")
REACH = 8  # steps that a convolution looks back and ahead
TAPS = 4  # values that a convolution takes
BLOCK_STEPS = 8192  # so that a block's features stay in the processor's cache


def arguments(names):
    """The value that follows each name on the command line: the form in which the pipeline gives them."""
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
    if len(sys.argv) != 1 + 2 * len(names) or set(given) != set(names):
        sys.exit(f"usage: {pathlib.Path(sys.argv[0]).name} " + " ".join(f"{name} VALUE" for name in names))
    return [given[name] for name in names]


def load(path):
    """Reads a whole file; a pipeline's input has no suffix, so its content says what it is."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        sys.exit(f"{path}: cannot read: {error}; run the tasks before this one, or generate.py")


def load_folder(folder):
    paths = sorted(pathlib.Path(folder).rglob("*.npy"))
    if not paths:
        sys.exit(f"{folder}: holds no .npy file; run generate.py, and mount its data/ at {CLAIM}")
    return [load(path) for path in paths]


def store(path, write):
    """Calls write(file); the path has either its old content or all of the new one."""
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        sys.exit(f"{path}: cannot write: {error}; is the claim mounted at {CLAIM}, and writable?")


def scale(series):
    """Each channel's mean and deviation, over all that is known of it in these series."""
    known = np.maximum(1, sum(np.count_nonzero(~np.isnan(part), axis=1) for part in series))
    mean = sum(np.nansum(part, axis=1, dtype=np.float64) for part in series) / known
    square = sum(np.nansum((part - mean[:, None]) ** 2, axis=1, dtype=np.float64) for part in series)
    deviation = np.sqrt(square / known)
    deviation[deviation == 0] = 1  # a channel that never moves
    return mean.astype(np.float32)[:, None], deviation.astype(np.float32)[:, None]


def hide(shape, seed, share=0.15, longest=120):
    """Where to hide what is known, so that there is a truth to learn from: gaps of 10 steps and more."""
    random = np.random.Generator(np.random.PCG64(seed))
    channels, steps = shape
    hidden = np.zeros(shape, dtype=bool)
    count = max(1, int(share * steps / ((10 + longest) / 2)))
    for channel in range(channels):
        starts = random.integers(0, steps, count)
        lengths = random.integers(10, longest + 1, count)
        for start, length in zip(starts, lengths):
            hidden[channel, start:start + length] = True
    return hidden


def fill_straight(series, missing):
    """A straight line across each gap; 0, the mean of scaled series, in a channel that has nothing."""
    filled = series.copy()
    for channel, gaps in zip(filled, missing):
        known = np.flatnonzero(~gaps)
        channel[gaps] = np.interp(np.flatnonzero(gaps), known, channel[known]) if len(known) else 0
    return filled


def fill_last(series, missing):
    """The last known value, in each gap."""
    steps = np.arange(series.shape[1])
    last = np.maximum.accumulate(np.where(missing, 0, steps), axis=1)
    return np.where(np.isnan(series), 0, series)[np.arange(len(series))[:, None], last]


class Model:
    """The convolutions, and one matrix of weights (channels, features) for every round."""

    def __init__(self, channel, lag, weight, bias, rounds):
        self.channel, self.lag, self.weight, self.bias = channel, lag, weight, bias
        self.rounds = list(rounds)

    @classmethod
    def random(cls, channels, kernels, seed):
        random = np.random.Generator(np.random.PCG64(seed))
        return cls(random.integers(0, channels, (kernels, TAPS)),
                   random.integers(-REACH, REACH + 1, (kernels, TAPS)),
                   random.standard_normal((kernels, TAPS), dtype=np.float32),
                   random.standard_normal(kernels, dtype=np.float32), [])

    @classmethod
    def load(cls, path):
        with load(path) as part:
            return cls(part["channel"], part["lag"], part["weight"], part["bias"], part["rounds"])

    def save(self, path):
        store(path, lambda file: np.savez(file, channel=self.channel, lag=self.lag, weight=self.weight,
                                          bias=self.bias, rounds=np.stack(self.rounds)))

    def features(self, padded, missing, first, last, stride=1):
        """(features, steps) of the steps first, first + stride, ...; padded has REACH more on each side."""
        channels = len(missing)
        inside = padded[:, REACH + first:REACH + last:stride]
        features = np.empty((2 * channels + len(self.bias) + 1, inside.shape[1]), dtype=np.float32)
        features[:channels] = inside
        np.multiply(inside, missing[:, first:last:stride], out=features[channels:2 * channels])
        tap = np.empty(inside.shape[1], dtype=np.float32)
        for kernel, feature in enumerate(features[2 * channels:-1]):
            feature[:] = self.bias[kernel]
            for channel, lag, weight in zip(self.channel[kernel], self.lag[kernel], self.weight[kernel]):
                start = REACH + first + lag
                np.multiply(padded[channel, start:start + last - first:stride], weight, out=tap)
                feature += tap
            np.tanh(feature, out=feature)
        features[-1] = 1
        return features

    def fill_again(self, filled, missing, weights):
        """One round: the gaps of filled, filled anew."""
        padded = np.pad(filled, ((0, 0), (REACH, REACH)), mode="edge")
        result = filled.copy()
        for first in range(0, filled.shape[1], BLOCK_STEPS):
            last = min(first + BLOCK_STEPS, filled.shape[1])
            estimate = np.einsum("cf,fs->cs", weights, self.features(padded, missing, first, last))
            np.copyto(result[:, first:last], estimate, where=missing[:, first:last])
        return result

    def fill(self, filled, missing):
        for weights in self.rounds:
            filled = self.fill_again(filled, missing, weights)
        return filled
