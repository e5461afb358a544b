"""An audit in lines that a person reads, the worst last: what one remembers."""

from __future__ import annotations

from typing import Any

MAX_EXAMPLES = 5


def short_lines(content: dict[str, Any]) -> list[str]:
    """What an import says of its audit, from the content of `audit.json`."""
    groups = content["groups"]
    things = "volumes" if _is_of_volumes(content) else "images"
    lines = [f"audit: {_copies(content)} among {content['images']} {things}"]
    if _is_of_volumes(content):
        lines.append(
            "notice: volumes are compared by three middle slices and their mean: mirrored, turned and cropped copies "
            "of a volume are not found"
        )
    lines.append(
        f"audit: {groups['num_groups']} groups that no split may separate, the largest of "
        f"{groups['largest']['num_images']} images"
        + (f"; {groups['pairs_cut']} pairs cut to break chains" if groups["pairs_cut"] else "")
    )
    if content["blank"]:
        lines.append(f"notice: {content['blank']} images are blank; they are compared with nothing")
    conflicts = content["label_conflicts"]
    if conflicts["pairs"]:
        lines.append(f"notice: {conflicts['pairs']} pairs of copies stand in two classes; all kept:")
        lines += _conflict_lines(conflicts)
    return lines


def long_lines(content: dict[str, Any]) -> list[str]:
    """The whole summary."""
    lines = [*short_lines(content)]
    lines += [
        "",
        "images of the test split with a copy, or another of their group, in train or validation",
        *_leakage(content),
    ]
    if rules := content["shortcuts"]["rules"]:
        lines += ["", "shortcuts: accuracy on the test split of rules that know nothing of anatomy"]
        if _is_of_volumes(content):
            lines.append("  borders and nearest neighbours look at middle slices, mean intensity at whole volumes")
        width = max(len(rule["rule"]) for rule in rules)
        for rule in rules:
            interval = f"95 % {rule['accuracy_low']:.3f}-{rule['accuracy_high']:.3f}"
            detail = f"({interval}, balanced {rule['balanced_accuracy']:.3f})"
            lines.append(
                f"  {rule['rule']:<{width}}  {rule['accuracy']:.3f} {detail}"
                + (f"; {rule['note']}" if rule["note"] else "")
            )
        if (aspect := content["shortcuts"]["aspect_correlation"]) is not None:
            lines.append(f"  margins of the stored images tell the originals' shape with a correlation of {aspect:.2f}")
    for cross in content["cross"]:
        lines += ["", *_cross(cross)]
    lines += ["", *_verdict(content)]
    return lines


def _is_of_volumes(content: dict[str, Any]) -> bool:
    return content.get("compared") == "volumes"


def _copies(content: dict[str, Any]) -> str:
    parts = [f"{content[name]['pairs']} {name}" for name in ("exact", "near", "mirrored", "rotated", "inverted")]
    return f"{', '.join(parts)} pairs of copies"


def _leakage(content: dict[str, Any]) -> list[str]:
    found = content["leakage"]
    names = sorted({name for split in found.values() for name in split["test_by_class"]})
    rows = [["split", "leaked", *names]]
    for split, leakage in found.items():
        classes = leakage["test_by_class"]
        cells = [_of(classes[name]["leaked"], classes[name]["of"]) if name in classes else "" for name in names]
        name = f"{split} (mean of 5)" if split == "random" else split
        rows.append([name, _of(leakage["num_test"], leakage["of_test"]), *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _of(number: float, total: float) -> str:
    return f"{number:g} of {total:g}"


def _cross(cross: dict[str, Any]) -> list[str]:
    test = cross["by_split"]["test"]
    lines = [
        f"against {cross['name']} ({cross['images']} images): {_copies(cross)}",
        f"  {cross['images_with_a_copy']} images here have a copy there, {test['with_a_copy']} of {test['of']} in the "
        f"test split; {cross['its_images_with_a_copy']} of its images have one here",
    ]
    if cross["classes_only_there"]:
        names = ", ".join(cross["classes_only_there"])
        lines.append(f"  labels of {names} are not compared: no such class here (--rename THEIRS=OURS)")
    if cross["label_conflicts"]["pairs"]:
        lines.append(f"  {cross['label_conflicts']['pairs']} pairs of copies have two labels:")
        lines += _conflict_lines(cross["label_conflicts"])
    return lines


def _conflict_lines(conflicts: dict[str, Any]) -> list[str]:
    lines = [
        f"  {row['path_a']} ({row['class_a']}) = {row['path_b']} ({row['class_b']}), {row['relation']}"
        for row in conflicts["listed"][:MAX_EXAMPLES]
    ]
    if (more := conflicts["pairs"] - len(lines)) > 0:
        lines.append(f"  and {more} pairs more, in audit.json")
    return lines


def _verdict(content: dict[str, Any]) -> list[str]:
    leakage = content["leakage"]["in force"]
    lines = []
    if leakage["status"] == "leaky":
        lines.append(f"verdict: LEAKY: {leakage['detail']}; scores on this split are too good")
    elif not leakage["of_test"]:
        lines.append("verdict: no test split, so nothing can leak into it")
    else:
        lines.append("verdict: no leak found: every group is on one side of the split")
    if rules := content["shortcuts"]["rules"]:
        best = max(rules, key=lambda rule: rule["accuracy"])
        lines.append(
            f"the floor: {best['accuracy']:.3f} accuracy by {best['rule']}; claim nothing that is not above it"
        )
    for cross in content["cross"]:
        if cross["by_split"]["test"]["with_a_copy"]:
            lines.append(f"a model trained on {cross['name']} has seen test images of this data set")
    return lines
