#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws the figures of bench-worth: what a frame costs on its way, against its
size, for each number of stages.

usage: plot_worth.py worth.json worth.svg     (needs python3-matplotlib)
"""

import json
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

SHAPES = ["160x120", "320x240", "640x480", "1280x720", "1920x1080", "3840x2160"]
STAGES = [1, 2, 4, 8]
WAYS = {
    "processes, pipes": ("#b5322b", "^"),
    "processes, a copy per stage": ("#c98a12", "s"),
    "processes, no copy": ("#1f6fb4", "o"),
    "threads": ("#2d8a4e", "D"),
    "no hop": ("#8a8f98", "."),
}
MEASURES = {"CPU us": "CPU time of all processes, µs per frame",
            "latency us": "latency, µs"}


def bytes_of(shape):
    width, height = map(int, shape.split("x"))
    return width * height * 3 // 2  # I420


def title_of(stages):
    return "1 stage" if stages == 1 else f"{stages} stages"


def draw(axes, values, stages, measure):
    for way, (colour, marker) in WAYS.items():
        costs = [values[f"{shape}, {title_of(stages)}, {way}: {measure}"]
                 for shape in SHAPES]
        axes.plot([bytes_of(shape) / 1e6 for shape in SHAPES], costs,
                  color=colour, marker=marker, markersize=4, linewidth=1.4,
                  label=way)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([bytes_of(shape) / 1e6 for shape in SHAPES], SHAPES,
                    fontsize=6.5, rotation=35, ha="right",
                    rotation_mode="anchor")
    axes.minorticks_off()
    axes.grid(True, color="#e3e6ea", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], encoding="utf-8") as file:
        values = json.load(file)["values"]
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "worth",
                         "font.family": "sans-serif", "font.size": 9})
    figure, rows = plt.subplots(len(MEASURES), len(STAGES), figsize=(12, 6.4),
                                sharex=True, sharey="row")
    for row, (measure, label) in zip(rows, MEASURES.items()):
        row[0].set_ylabel(label)
        for axes, stages in zip(row, STAGES):
            draw(axes, values, stages, measure)
    for axes, stages in zip(rows[0], STAGES):
        axes.set_title(title_of(stages), fontsize=10)
    handles, labels = rows[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(WAYS),
                  frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(sys.argv[2], metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    main()
