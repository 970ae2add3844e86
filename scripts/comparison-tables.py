#!/usr/bin/env python3
"""Two tables of a comparison record, as Markdown: each subject's headline in each workload, and which subjects worked: comparison-tables.py comparison.json"""
import json
import statistics
import sys


def amount(value, unit):
    """Three digits and the unit's prefix."""
    if unit == "ns":
        for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
            if value >= size:
                return f"{value / size:.3g} {name}"
        return f"{value:.3g} ns"
    name = {"bytes/s": "B/s", "1/s": "/s", "bytes": "B"}.get(unit, "")
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size and unit != "bytes":
            return f"{value / size:.3g} {prefix}{name}"
    return f"{value:.3g} {name}".strip()


def main():
    record = json.load(open(sys.argv[1]))
    baseline = record["subjects"]["baseline"]
    subjects = [baseline] + record["subjects"]["candidates"]
    workloads = record["workloads"]
    labels = [workload["label"] for workload in workloads]
    head = "| subject | " + " | ".join(labels) + " |\n|---|" + "---|" * len(labels)

    print(f"# {len(subjects)} subjects beside each other\n")
    print(f"The median of {len(record['order'])} rounds and, in brackets, the ratio to `{baseline}` over all rounds. What is better: more of everything but memory (idle: resident")
    print("bytes a stream at the client) and latency (mixed: p99 of the requests). In bold: better or worse for certain; see `details.md` for intervals, noise and costs,")
    print("`comparison.json` for every value. `A>B` is A dialling B.\n")
    print(head)
    works, reasons = {}, []
    for subject in subjects:
        row = []
        for workload in workloads:
            metric = workload["metrics"][0]
            values = next(entry["by_round"] for entry in metric["values"] if entry["run"] == {"subject": subject, "run": 1})
            numbers = [value for value in values if not isinstance(value, str)]
            absent = [value for value in values if isinstance(value, str)]
            key = (subject, workload["label"])
            if not absent:
                works[key] = "works"
            elif all(" has no " in value or "not installed" in value for value in absent):
                works[key] = "not offered"
            else:
                reasons.append((subject, workload["label"], f"{len(absent)} of {len(values)} rounds: {absent[0]}"))
                works[key] = f"fails ({len(reasons)})"
            if not numbers:
                row.append("-")
                continue
            text = amount(statistics.median(numbers), metric["metric"]["unit"])
            ratio = next((entry for entry in metric["ratios"] if entry["subject"] == subject), None)
            if ratio and not isinstance(ratio["estimate"], str):
                text += f" ({ratio['estimate']['ratio']:.3g})"
                if ratio["judgement"]["verdict"] in ("better", "worse"):
                    text = f"**{text}**"
            row.append(text)
        print(f"| {subject} | " + " | ".join(row) + " |")

    print("\n## Which work\n")
    print("*works*: every run of it was valid, that is, receipts of both ends agree and payload was compared. *not offered*: a driver has no such stack or workload.\n")
    print(head)
    for subject in subjects:
        print(f"| {subject} | " + " | ".join(works[(subject, label)] for label in labels) + " |")
    for number, (subject, label, reason) in enumerate(reasons, 1):
        print(f"\n{number}. {subject}, {label}: {reason}")
    print(f"\nMade by `scripts/compare-all` at commit {record['environment']['commit']}, {record['environment']['cpu_model']}, {record['environment']['cores']} cores.")


main()
