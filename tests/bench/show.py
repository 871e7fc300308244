#!/usr/bin/env python3
"""Prints a benchmark's JSON as indented lines."""
import json
import sys


def show(value, indent):
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                print(f"{'  ' * indent}{key}")
                show(item, indent + 1)
            else:
                text = f"{item:.4g}" if isinstance(item, float) else item
                print(f"{'  ' * indent}{key:<40} {text}")
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and not any(isinstance(part, (dict, list)) for part in item.values()):
                print("  " * indent + "  ".join(
                    f"{key}={part:.4g}" if isinstance(part, float) else f"{key}={part}" for key, part in item.items()))
            else:
                show(item, indent + 1)
    else:
        print("  " * indent + str(value))


show(json.load(open(sys.argv[1])), 1)
