#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The task preprocess: from raw series to segments that one can learn from.

Takes out spikes, brings all channels to one scale, cuts the series into segments and keeps those with
the fewest gaps. total_y is what is known of them; in total_x further gaps are hidden, whose truth is in
total_y. Both are float32 (segments, channels, steps), NaN where nothing is known.

    preprocess.py raw FOLDER total_x FILE total_y FILE
"""

import series  # before numpy, as it says how many threads that may use

import numpy as np

WINDOW = 11
PASSES = 2  # a spike hides its neighbours from the first
SEGMENT_STEPS = 1024
SEGMENTS = 300
SEED = 1


def middle(windows):
    return np.partition(windows, WINDOW // 2, axis=-1)[..., WINDOW // 2]


def drop_spikes(values):
    """Hampel's filter: what lies far from its neighbours' median, by their median deviation, is a spike."""
    missing = np.isnan(values)
    filled = series.fill_straight(values, missing)
    for channel, straight in zip(values, filled):
        padded = np.pad(straight, WINDOW // 2, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)
        median = middle(windows)
        deviation = middle(np.abs(windows - median[:, None]))
        channel[np.abs(straight - median) > 6 * 1.4826 * deviation + 0.5] = np.nan


def cut(parts):
    """The segments with the fewest gaps, in their order in time."""
    segments = []
    for part in parts:
        count = part.shape[1] // SEGMENT_STEPS
        whole = part[:, :count * SEGMENT_STEPS].reshape(len(part), count, SEGMENT_STEPS)
        segments.append(whole.transpose(1, 0, 2))
    segments = np.concatenate(segments)
    gaps = np.count_nonzero(np.isnan(segments), axis=(1, 2))
    return segments[np.sort(np.argsort(gaps, kind="stable")[:SEGMENTS])]


def main():
    raw, path_x, path_y = series.arguments(["raw", "total_x", "total_y"])
    parts = series.load_folder(raw)
    for part in parts:
        for _ in range(PASSES):
            drop_spikes(part)
    mean, deviation = series.scale(parts)
    total_y = cut([(part - mean) / deviation for part in parts])
    total_x = total_y.copy()
    for index, segment in enumerate(total_x):
        segment[series.hide(segment.shape, [SEED, index])] = np.nan
    series.store(path_x, lambda file: np.save(file, total_x))
    series.store(path_y, lambda file: np.save(file, total_y))
    print(f"preprocess: {len(total_y)} segments of {SEGMENT_STEPS} steps,"
          f" {np.isnan(total_y).mean():.1%} unknown, {np.isnan(total_x).mean():.1%} with what is hidden")


if __name__ == "__main__":
    main()
