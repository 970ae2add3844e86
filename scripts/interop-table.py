#!/usr/bin/env python3
"""Which subjects worked in which workload, as Markdown, from a comparison record: interop-table.py comparison.json > interop.md"""
import json
import sys


def main() -> None:
    record = json.load(open(sys.argv[1]))
    subjects = [record["subjects"]["baseline"]] + record["subjects"]["candidates"]
    labels = [workload["label"] for workload in record["workloads"]]
    cells, reasons = {}, []
    for workload in record["workloads"]:
        metric = workload["metrics"][0]
        for entry in metric["values"]:
            subject, values = entry["run"]["subject"], entry["by_round"]
            absent = [value for value in values if isinstance(value, str)]
            key = (subject, workload["label"])
            if not absent:
                cells.setdefault(key, "works")
            elif all("has no " in value or "no other end" in value or "not installed" in value for value in absent):
                cells[key] = "not offered"
            else:
                reasons.append((subject, workload["label"], f"{len(absent)} of {len(values)} rounds: {absent[0]}"))
                cells[key] = f"fails ({len(reasons)})"
    print("# Which pairs work\n")
    print(f"Every subject in every workload of a comparison of {len(record['order'])} rounds. *works*: every run of it was valid, that is, receipts of both ends agree and")
    print("payload was compared. `A>B` is A dialling B. *not offered*: a driver has no such stack or workload.\n")
    print("| subject | " + " | ".join(labels) + " |")
    print("|---|" + "---|" * len(labels))
    for subject in subjects:
        print(f"| {subject} | " + " | ".join(cells.get((subject, label), "not run") for label in labels) + " |")
    for number, (subject, label, reason) in enumerate(reasons, 1):
        print(f"\n{number}. {subject}, {label}: {reason}")


main()
