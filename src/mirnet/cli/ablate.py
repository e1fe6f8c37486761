"""``mirnet ablate``: the paper's ablations, trained and tabulated (Tables 7–11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import Parameter

from mirnet.choices import AblationBudget, DataSetName, Device, TableNumber
from mirnet.errors import RecipeError

RUNS = Path("runs/ablation")


def ablate(
    *,
    table: Annotated[tuple[TableNumber, ...], Parameter(negative=())] = (),
    data: Path | None = None,
    dataset: DataSetName | None = None,
    budget: AblationBudget = "paper",
    seeds: int | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    device: Device = "auto",
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Train the variants of a table of the paper alike, score them, and print the table.

    The paper trained on RealSR ×3, patches of 128, for 100,000 steps. Runs that are there are kept,
    so that a stop costs nothing; tables share the runs that they have in common.

    Parameters
    ----------
    table
        7, 8, 9, 10 or 11; give it again for more. All of them, unless told.
    data
        A data set with a part to train on and one to score: RealSR, or pairs of your own with
        train/ and val/.
    dataset
        How its files lie; found out if it is not given, and ×3 of RealSR's scales.
    budget
        paper: as the paper did. small: for a CPU; a small network, small patches, 600 steps.
    seeds
        Runs of each variant; 1 for paper and 2 for small, unless told.
    output
        The folder for runs and tables; runs/ablation unless told.
    device
        Where to train.
    dry_run
        Train nothing; print what every variant costs, beside the paper's numbers.
    json_output
        Print JSON instead of tables.
    """
    from mirnet.tasks.ablation import COUNTED, as_markdown, costs
    from mirnet.tasks.ablations import BUDGETS

    if len(set(table)) < len(table):
        raise RecipeError("--table: name each table once")
    plan, numbers = BUDGETS[budget], table or get_args(TableNumber)
    if dry_run:
        beside = (data, dataset, seeds, output)
        if any(each is not None for each in beside) or device != "auto":
            raise RecipeError("--dry-run: trains nothing; give --table, --budget and --json alone")
        found = {number: costs(number, plan) for number in numbers}
        tables = "\n".join(map(_costs, found.values())) + COUNTED
        print(json.dumps(found) if json_output else tables)
        return
    if data is None:
        raise RecipeError("ablate: say where the pairs are, with --data FOLDER, or give --dry-run")
    count = plan.seeds if seeds is None else seeds
    if not 1 <= count <= 100:
        raise RecipeError(f"--seeds: must be from 1 to 100, got {count}")
    folder = (output or RUNS).expanduser()
    for number in numbers:
        result = _ablate(number, budget, data.expanduser(), dataset, folder, count, device)
        print(json.dumps(result) if json_output else as_markdown(result))


def _ablate(
    number: TableNumber,
    budget: AblationBudget,
    data: Path,
    dataset: DataSetName | None,
    output: Path,
    seeds: int,
    device: Device,
) -> dict[str, Any]:
    import sys

    from mirnet.atomic import replacing
    from mirnet.tasks.ablation import ablate, as_markdown
    from mirnet.tasks.ablations import BUDGETS

    result = ablate(
        number,
        BUDGETS[budget],
        data,
        dataset,
        output,
        seeds=seeds,
        device=device,
        say=lambda text: print(text, file=sys.stderr),
    )
    for suffix, text in (
        (".json", json.dumps(result, indent=1) + "\n"),
        (".md", as_markdown(result)),
    ):
        with replacing(output / f"table-{number}{suffix}") as temporary:
            temporary.write_text(text, "utf-8")
    return result


def _costs(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'':<28}{'parameters':>12}{'FLOPs':>12}{'one fusion':>12}  patches   the paper"]
    for row in rows:
        paper = ", ".join(
            f"{name} {value:g}" for name, value in row["paper"].items() if name != "PSNR"
        )
        patches = "–".join(map(str, row["patches"][:: max(len(row["patches"]) - 1, 1)]))
        lines.append(
            f"{row['row']:<28}{row['parameters']:>12,}{row['flops'] / 1e9:>10.1f} G"
            f"{row['fusion_parameters']:>12,}  {patches:<9} {paper}"
        )
    return "\n".join(lines) + "\n"
