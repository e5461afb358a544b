"""`raysynth data`: make, import, audit, look at and export data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from raysynth.cli.audit import (
    DEFAULT,
    GroupDensity,
    InvertedScore,
    Neighbours,
    Score,
    Similarity,
    audit_verb,
    parse_rename,
)
from raysynth.cli.console import print_json, say, say_to_stderr
from raysynth.cli.storage import Storage, existing, named
from raysynth.data.audit.thresholds import Thresholds

if TYPE_CHECKING:
    from raysynth.data.cropping import Crop, Fit
    from raysynth.data.dataset import Dataset
    from raysynth.data.import_options import Split
    from raysynth.data.nifti import Axis
    from raysynth.data.windowing import Window

app = typer.Typer(no_args_is_help=True, help="Make, import, audit, look at and export data sets.")

# Places are texts: a Path would make s3:/bucket of s3://bucket.
Out = Annotated[
    str,
    typer.Option(metavar="DIR", help="Folder of the new data set; must not exist or be empty (required, no default)."),
]
Folder = Annotated[str, typer.Argument(metavar="DIR", help="Folder of a data set.", show_default=False)]
Size = Annotated[int, typer.Option(help="Width and height of every image, in pixels.")]
Seed = Annotated[int, typer.Option(help="Seed of every random draw, a whole number.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr. Default: off.")
]


@app.command()
def phantom(
    out: Out,
    storage: Storage = None,
    images: Annotated[
        int | None,
        typer.Option(help="Number of images, over all classes. Default: 1200; with --volumes 240."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Width and height of every image, in pixels; with --volumes 16, 32 or 64 voxels a side. "
            "Default: 64; with --volumes 32."
        ),
    ] = None,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Whole heads in three dimensions in place of slices. Default: off.")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Draw head slices, or volumes, in four classes: the slices are what is used where --data is left out."""
    from raysynth.data.phantom import phantom as draw

    dataset = draw(
        named(out, storage),
        num_images=images,
        size=size,
        volumes=volumes,
        seed=seed,
        say=say_to_stderr if as_json else say,
    )
    _print_dataset(dataset, as_json)


@app.command("import")
def import_(
    src: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            show_default=False,
            help="Folder or .zip: CLASS/*, Training|Testing/CLASS/* or train|validation|test/CLASS/*; or a table "
            "(.csv, .tsv, .parquet). Here or in a bucket (s3://, gs://); or kaggle:OWNER/NAME.",
        ),
    ],
    out: Out,
    storage: Storage = None,
    size: Size = 64,
    channels: Annotated[int, typer.Option(help="Channels of every image: 1 (grey) or 3 (colour).")] = 1,
    split: Annotated[
        str,
        typer.Option(
            help="grouped: copies, and images of one group, stay together. folders: as in SRC. "
            "random: image by image, as the study did; leaks where SRC holds copies."
        ),
    ] = "grouped",
    test: Annotated[
        float,
        typer.Option(
            help="Share of the images for the test split, from 0 to 1 (not with --folds, nor with --split folders)."
        ),
    ] = 0.1,
    validation: Annotated[
        float,
        typer.Option(
            help="Share of the images for the validation split, from 0 to 1 (with --split folders: of the "
            "training images, unless SRC has a validation folder)."
        ),
    ] = 0.1,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Table with the columns path, group: images that must not be separated, e.g. of one patient. "
            "Default: those that SRC gives.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Make K data sets DIR/fold-0, DIR/fold-1, ..., each with one fold of the groups as its test split. "
            "Default: one data set.",
        ),
    ] = None,
    dedupe: Annotated[
        bool, typer.Option("--dedupe", help="Keep one image of each group of copies, the largest. Default: off.")
    ] = False,
    add_to: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="A data set, or folder of folds, whose images come first and stay in their splits. Default: none.",
        ),
    ] = None,
    score: Score = DEFAULT.score,
    inverted_score: InvertedScore = DEFAULT.inverted_score,
    similarity: Similarity = DEFAULT.similarity,
    neighbours: Neighbours = DEFAULT.num_neighbours,
    group_density: GroupDensity = DEFAULT.group_density,
    drop_border: Annotated[
        bool, typer.Option("--drop-border", help="First take uniform outer rows and columns away. Default: off.")
    ] = False,
    crop: Annotated[str, typer.Option(help="none, or head: cut out the bounding box of the head.")] = "none",
    fit: Annotated[
        str,
        typer.Option(
            help="stretch to the square; pad with black, which shows the original's proportions; "
            "or crop the middle square."
        ),
    ] = "stretch",
    axis: Annotated[str, typer.Option(help="Slices of NIfTI volumes: axial, coronal or sagittal.")] = "axial",
    every: Annotated[int, typer.Option(help="Take every so many slices of a NIfTI volume.")] = 1,
    volumes: Annotated[
        bool, typer.Option("--volumes", help="NIfTI volumes as cubes of --size voxels, not as slices. Default: off.")
    ] = False,
    window: Annotated[
        str, typer.Option(help="Grey values of DICOM: auto (the file's window, else percentile) or percentile.")
    ] = "auto",
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table with the images' paths. Default: by its name.")
    ] = None,
    bytes_column: Annotated[
        str | None, typer.Option(help="Column of a Parquet table with the images' bytes. Default: by its name.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of a table with the classes. Default: by its name.")
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column of a table with the groups; '' for none. Default: by its name.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(help="Column of a table with the splits; '' for none. Default: by its name.")
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder in which the paths of a table begin. Default: the table's own."),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(help="old=new: another name for a class, or merge it into one; repeatable. Default: none."),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Import labelled images: pictures, DICOM and NIfTI; files that cannot be read are listed in rejected.csv."""
    from raysynth.data.importer import import_images

    dataset = import_images(
        src,
        named(out, storage),
        size=size,
        channels=channels,
        split=cast("Split", split),  # checked there, with the other options
        test=test,
        validation=validation,
        groups=groups,
        drop_border=drop_border,
        crop=cast("Crop", crop),
        fit=cast("Fit", fit),
        axis=cast("Axis", axis),
        every=every,
        volumes=volumes,
        window=cast("Window", window),
        path_column=path_column,
        bytes_column=bytes_column,
        label_column=label_column,
        group_column=group_column,
        split_column=split_column,
        root=root,
        rename=parse_rename(rename or []),
        folds=folds,
        dedupe=dedupe,
        add_to=existing(add_to, storage, "--add-to"),
        thresholds=Thresholds(score, inverted_score, similarity, neighbours, group_density),
        seed=seed,
        say=say_to_stderr if as_json else say,
    )
    _print_dataset(dataset, as_json)


app.command("audit")(audit_verb)


@app.command()
def show(
    data: Folder,
    storage: Storage = None,
    out: Annotated[Path, typer.Option(help="PNG file to write, replaced if it exists.")] = Path("sheet.png"),
) -> None:
    """Write a contact sheet by class and the bar chart of images per class and split."""
    from raysynth.data.sheet import show as write_sheet

    say(f"written: {write_sheet(existing(data, storage, 'DIR'), out)}")


@app.command()
def export(
    data: Folder,
    to: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Folder for the PNG files; must not exist or be empty (required, no default)."
        ),
    ],
    storage: Storage = None,
) -> None:
    """Write {train,validation,test}/CLASS/*.png, which `raysynth data import` reads back."""
    from raysynth.data.export import export_images

    export_images(existing(data, storage, "DIR"), to, say=say)


@app.command()
def join(
    sets: Annotated[
        list[str], typer.Argument(metavar="SET...", help="Synthetic sets, two or more.", show_default=False)
    ],
    out: Out,
    storage: Storage = None,
    as_json: AsJson = False,
) -> None:
    """Put the images of several synthetic sets together as one, e.g. of models of several families."""
    from raysynth.data.join import join as join_sets

    dataset = join_sets([existing(place, storage, "SET") for place in sets], out=named(out, storage))
    _print_dataset(dataset, as_json)


def _print_dataset(dataset: Dataset, as_json: bool) -> None:
    """The data set in a few lines: shape, images per class and split, leakage."""
    if as_json:
        from dataclasses import asdict

        print_json({**asdict(dataset), "path": str(dataset.path)})
        return
    splits = list(dataset.counts)
    rows = [["class", *splits, "all"]]
    for name in dataset.classes:
        counts = [dataset.counts[split][name] for split in splits]
        rows.append([name, *map(str, counts), str(sum(counts))])
    rows.append(["all", *(str(dataset.num_images(split)) for split in splits), str(dataset.num_images())])
    name_width = max(len(row[0]) for row in rows)
    axes = "channels x height x width" if len(dataset.shape) == 3 else "channels x depth x height x width"
    say(f"\n{dataset.path}: {' x '.join(map(str, dataset.shape))} ({axes})")
    for row in rows:
        say(f"  {row[0]:<{name_width}}" + "".join(f"{cell:>12}" for cell in row[1:]))
    if dataset.leakage.status == "leaky":
        say(f"warning: leaky split: {dataset.leakage.detail}; scores on it are too good")
    else:
        say(f"leakage: {dataset.leakage.status} ({dataset.leakage.detail})")
