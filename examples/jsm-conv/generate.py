#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the content of the claim jsm-conv in data/, beside this file.

What is measured: one kind of machine, seen by 20 sensors (channels), at 20 places (stations). A few
hidden oscillations move each machine, and every channel sees its own mixture of them, with noise. So
what is missing in one channel can be told from the others, which is what the pipeline learns.

    raw/series-N.npy                    for preprocess: gaps (NaN) and spikes
    history/station-N.npy               for train: complete, but as uncalibrated readings
    calibration/station-N/channel-N.npy for train: a table (readings, values) for each sensor
    unseen/series-N.npy                 for test: complete

A series is float32, (channels, steps). The same bytes come out of every run. Files are made in
data/.partial, moved into place by rename, and data/.complete is written last: if it is there and fits
what lies beside it, there is nothing to do. What the pipeline itself wrote to data/ is left alone.
"""

import fcntl
import json
import os
import pathlib
import shutil
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

DATA = pathlib.Path(__file__).resolve().parent / "data"
PARTIAL = DATA / ".partial"
STAMP = DATA / ".complete"
FOLDERS = ("raw", "history", "calibration", "unseen")
VERSION = 1
SEED = 20230412

CHANNELS = 20
STATIONS = 20
OSCILLATIONS = 6
CALIBRATION_POINTS = 2560
SPIKE_SHARE = 0.003
GAP_SHARE = 0.15


class Machine:
    """How the hidden oscillations show in the channels: the same for every series."""

    def __init__(self):
        random = np.random.Generator(np.random.PCG64(SEED))
        self.pairs = np.triu_indices(OSCILLATIONS, 1)
        self.linear = random.standard_normal((CHANNELS, OSCILLATIONS)).astype(np.float32)
        self.product = 0.6 * random.standard_normal((CHANNELS, len(self.pairs[0]))).astype(np.float32)
        self.offset = random.uniform(-2, 2, (CHANNELS, 1)).astype(np.float32)

    def series(self, random, steps):
        period = np.geomspace(30, 400, OSCILLATIONS)[:, None] * random.uniform(0.9, 1.1, (OSCILLATIONS, 1))
        jitter = random.standard_normal((OSCILLATIONS, steps), dtype=np.float32)
        phase = np.cumsum(2 * np.pi / period * (1 + jitter), axis=1)
        phase += random.uniform(0, 2 * np.pi, (OSCILLATIONS, 1))
        hidden = np.sin(phase).astype(np.float32)
        first, second = self.pairs
        values = np.einsum("co,ot->ct", self.linear, hidden)
        values += np.einsum("cp,pt->ct", self.product, hidden[first] * hidden[second])
        values += self.offset
        noise = random.random(values.shape, dtype=np.float32)
        noise -= 0.5
        noise *= 0.35
        values += noise
        return values


def generator(kind, index):
    """Every file has a random sequence of its own, so no file depends on another."""
    return np.random.Generator(np.random.PCG64([SEED, FOLDERS.index(kind), index]))


def spoil(values, random):
    """Spikes, and gaps of 10 to 120 steps, as a logger that loses its radio link has."""
    channels, steps = values.shape
    count = int(SPIKE_SHARE * values.size)
    where = random.integers(0, values.size, count)
    values.reshape(-1)[where] += random.choice(np.float32([-6, 6]), count)
    for channel in range(channels):
        count = int(GAP_SHARE * steps / 65)
        starts = random.integers(0, steps - 120, count)
        lengths = random.integers(10, 121, count)
        for start, length in zip(starts, lengths):
            values[channel, start:start + length] = np.nan


def save(path, array):
    path = PARTIAL / path
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.ascontiguousarray(array, dtype=np.float32))


def make_station(machine, station):
    """One station's history, and the calibration tables without which it cannot be read."""
    random = generator("history", station)
    values = machine.series(random, 100_000)
    gain = random.uniform(0.5, 2, (CHANNELS, 1)).astype(np.float32)
    bend = random.uniform(0.002, 0.01, (CHANNELS, 1)).astype(np.float32)

    def reading(value):
        return gain * value * (1 + bend * value * value)

    save(f"history/station-{station:02}.npy", reading(values))
    limit = 1 + np.abs(values).max()
    table = np.broadcast_to(np.linspace(-limit, limit, CALIBRATION_POINTS, dtype=np.float32),
                            (CHANNELS, CALIBRATION_POINTS))
    readings = reading(table)
    for channel in range(CHANNELS):
        save(f"calibration/station-{station:02}/channel-{channel:02}.npy",
             np.stack([readings[channel], table[channel]]))


def make_all():
    machine = Machine()
    for index in range(5):
        random = generator("raw", index)
        values = machine.series(random, 150_000)
        spoil(values, random)
        save(f"raw/series-{index:02}.npy", values)
    for station in range(STATIONS):
        make_station(machine, station)
    for index in range(10):
        save(f"unseen/series-{index:02}.npy", machine.series(generator("unseen", index), 150_000))


def census():
    """What lies in data/ of ours; None for a folder that is not there."""
    found = {}
    for folder in FOLDERS:
        if not (DATA / folder).is_dir():
            return None
        sizes = [path.stat().st_size for path in (DATA / folder).rglob("*.npy")]
        found[folder] = {"files": len(sizes), "bytes": sum(sizes)}
    return {"version": VERSION, "folders": found}


def is_complete():
    try:
        return json.loads(STAMP.read_text()) == census()
    except (FileNotFoundError, ValueError):
        return False


def regenerate():
    STAMP.unlink(missing_ok=True)
    shutil.rmtree(PARTIAL, ignore_errors=True)
    make_all()
    for folder in FOLDERS:
        shutil.rmtree(DATA / folder, ignore_errors=True)
        (PARTIAL / folder).rename(DATA / folder)
    # The stamp must never be on the disk before the files that it speaks for.
    os.sync()
    (PARTIAL / "complete").write_text(json.dumps(census(), indent=1) + "\n")
    (PARTIAL / "complete").rename(STAMP)
    PARTIAL.rmdir()


def main():
    DATA.mkdir(exist_ok=True)
    folder = os.open(DATA, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    if is_complete():
        print(f"generate: {DATA} is complete, nothing to do")
        return 0
    regenerate()
    total = census()["folders"].values()
    print(f"generate: {sum(part['files'] for part in total)} files,"
          f" {sum(part['bytes'] for part in total) / 1e6:.0f} MB in {DATA}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"generate: cannot make {DATA}: {error}; free some space (350 MB) or fix its rights")
