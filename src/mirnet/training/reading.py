"""Read a recipe: from a TOML file or from plain values, with changes from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import App, Parameter
from cyclopts.config import Dict, Toml

from mirnet.errors import RecipeError
from mirnet.training.recipe import Recipe


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a TOML recipe; ``overrides`` are command-line tokens such as ``--optim.loss l1``.

    Paths in the file are taken from the folder that mirnet runs in. Raises RecipeError that names
    the file and the key.
    """
    if not path.is_file():
        raise RecipeError(f"{path}: there is no such recipe file")
    if path.suffix.lower() != ".toml":
        raise RecipeError(f"{path}: a recipe is a TOML file, NAME.toml; write it as one")
    return _read(Toml(path, search_parents=False, use_commands_as_keys=False), overrides, str(path))


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """A recipe with values from the command line. Raises RecipeError that names the key."""
    if not overrides:
        return recipe
    values = _without_none(recipe.to_dict())
    return _read(Dict(values, use_commands_as_keys=False), overrides, "the recipe")


def _read(config: Any, overrides: Sequence[str], place: str) -> Recipe:
    app = App(
        name="train",
        config=config,
        result_action="return_value",
        help_flags=[],
        version_flags=[],
    )

    @app.default
    def recipe(recipe: Annotated[Recipe, Parameter(name="*")]) -> Recipe:
        return recipe

    try:
        result: Recipe = app(
            list(overrides), exit_on_error=False, print_error=False, help_on_error=False
        )
    except (cyclopts.CycloptsError, OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{place}: {' '.join(str(error).split())}") from error
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}") from error
    return result


def _without_none(value: Any) -> Any:
    """What is not given has its default; a configuration has no word for none."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
