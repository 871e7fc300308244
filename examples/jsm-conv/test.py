#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The task test: how well the model fills gaps, in what it learned from and in series it never saw.

The held-out series are complete; gaps are hidden in them, filled, and held against the truth. Two
simple ways to fill a gap show what the model is worth. Errors are in units of a channel's deviation.

    test.py x_train FILE y_train FILE _model FILE
"""

import json

import series  # before numpy, as it says how many threads that may use

import numpy as np

SEED = 3


class Errors:
    """Sums of errors, for each way to fill a gap."""

    def __init__(self):
        self.points = 0
        self.sums = {}

    def add(self, truth, where, **fillings):
        self.points += np.count_nonzero(where)
        for name, filled in fillings.items():
            error = (filled[where] - truth[where]).astype(np.float64)
            sums = self.sums.setdefault(name, np.zeros(2))
            sums += np.square(error).sum(), np.abs(error).sum()

    def report(self):
        means = {name: sums / self.points for name, sums in self.sums.items()}
        return {"points": self.points} | {name: {"rmse": round(float(np.sqrt(square)), 6),
                                                 "mae": round(float(absolute), 6)}
                                          for name, (square, absolute) in means.items()}


def on_segments(model, total_x, total_y):
    errors = Errors()
    for known, truth in zip(total_x, total_y):
        missing = np.isnan(known)
        straight = series.fill_straight(known, missing)
        errors.add(truth, missing & ~np.isnan(truth), model=model.fill(straight, missing),
                   straight_line=straight, last_value=series.fill_last(known, missing))
    return errors.report()


def on_held_out(model, parts):
    errors = Errors()
    for index, truth in enumerate(parts):
        missing = series.hide(truth.shape, [SEED, index])
        known = np.where(missing, np.float32(np.nan), truth)
        # The scale is that of what is known: the truth must not leak into it.
        mean, deviation = series.scale([known])
        truth, known = (truth - mean) / deviation, (known - mean) / deviation
        straight = series.fill_straight(known, missing)
        errors.add(truth, missing, model=model.fill(straight, missing), straight_line=straight,
                   last_value=series.fill_last(known, missing))
    return errors.report()


def main():
    path_x, path_y, path_model = series.arguments(["x_train", "y_train", "_model"])
    total_x, total_y, model = series.load(path_x), series.load(path_y), series.Model.load(path_model)
    parts = series.load_folder(series.CLAIM / "unseen")
    report = {"trained_on": on_segments(model, total_x, total_y), "held_out": on_held_out(model, parts)}
    text = json.dumps(report, indent=1) + "\n"
    series.store(series.CLAIM / "metrics.json", lambda file: file.write(text.encode()))
    held_out = report["held_out"]
    print(f"test: RMSE on {held_out['points']} held-out points: {held_out['model']['rmse']:.3f}"
          f" (straight line {held_out['straight_line']['rmse']:.3f},"
          f" last value {held_out['last_value']['rmse']:.3f})")


if __name__ == "__main__":
    main()
