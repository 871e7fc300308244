#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The task train: learns to fill gaps, from the segments of preprocess and from the stations' history.

The history is long, complete, and stored as readings; each sensor has a calibration table of its own
(readings, values) by which they become values.

    train.py x_train FILE y_train FILE history FOLDER calibration FOLDER model FILE
             --kernels 64 --rounds 3
"""

import sys

import series  # before numpy, as it says how many threads that may use

import numpy as np

SEED = 2
STRIDE = 25  # of neighbouring steps one is enough to learn from
RIDGE = 1e-4


def calibrate(history, tables):
    """Readings to scaled values, in place; the tables come in the order station, channel."""
    tables = iter(tables)
    for station in history:
        for channel in station:
            readings, values = next(tables)
            channel[:] = np.interp(channel, readings, values)
        mean, deviation = series.scale([station])
        station -= mean
        station /= deviation


def examples(total_x, total_y, history):
    """(truth, missing, filled by straight lines) of every series; truth is NaN where there is none."""
    missing = np.isnan(total_x)
    filled = [series.fill_straight(*segment) for segment in zip(total_x, missing)]
    yield np.concatenate(total_y, axis=1), np.concatenate(missing, axis=1), np.concatenate(filled, axis=1)
    for index, station in enumerate(history):
        missing = series.hide(station.shape, [SEED, index])
        yield station, missing, series.fill_straight(station, missing)


def gather(model, truth, missing, filled, normal, moment):
    """Adds one series to the normal equations of every channel, from the steps where it has a gap."""
    padded = np.pad(filled, ((0, 0), (series.REACH, series.REACH)), mode="edge")
    block = series.BLOCK_STEPS * STRIDE
    for first in range(0, filled.shape[1], block):
        last = min(first + block, filled.shape[1])
        features = np.ascontiguousarray(model.features(padded, missing, first, last, STRIDE).T)
        wanted = truth[:, first:last:STRIDE]
        usable = missing[:, first:last:STRIDE] & ~np.isnan(wanted)
        for channel, rows in enumerate(usable):
            chosen = features[rows]
            normal[channel] += np.einsum("sf,sg->fg", chosen, chosen)
            moment[channel] += np.einsum("sf,s->f", chosen, wanted[channel, rows])


def solve(normal, moment):
    weights = []
    for left, right in zip(normal, moment):
        # The last feature is the constant 1: its square's sum is the number of examples.
        weights.append(np.linalg.solve(left + RIDGE * left[-1, -1] * np.eye(len(left)), right))
    return np.stack(weights).astype(np.float32)


def train(model, sets, rounds):
    channels, features = len(sets[0][0]), 2 * len(sets[0][0]) + len(model.bias) + 1
    for _ in range(rounds):
        normal = np.zeros((channels, features, features))
        moment = np.zeros((channels, features))
        for truth, missing, filled in sets:
            gather(model, truth, missing, filled, normal, moment)
        model.rounds.append(solve(normal, moment))
        if len(model.rounds) < rounds:
            sets = [(truth, missing, model.fill_again(filled, missing, model.rounds[-1]))
                    for truth, missing, filled in sets]


def count(name, text):
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        sys.exit(f"train.py: {name} {text}: must be a number from 1 to 1000")
    return int(text)


def main():
    path_x, path_y, history, calibration, path_model, kernels, rounds = series.arguments(
        ["x_train", "y_train", "history", "calibration", "model", "--kernels", "--rounds"])
    kernels, rounds = count("--kernels", kernels), count("--rounds", rounds)
    total_x, total_y = series.load(path_x), series.load(path_y)
    history, tables = series.load_folder(history), series.load_folder(calibration)
    calibrate(history, tables)
    model = series.Model.random(total_x.shape[1], kernels, SEED)
    train(model, list(examples(total_x, total_y, history)), rounds)
    model.save(path_model)
    print(f"train: {kernels} convolutions, {rounds} rounds, {len(total_x)} segments and"
          f" {len(history)} stations with {len(tables)} calibrated sensors")


if __name__ == "__main__":
    main()
