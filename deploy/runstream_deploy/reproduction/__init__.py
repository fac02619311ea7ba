"""How to do a run again: what was captured of it, as steps that a shell can take."""

from runstream_deploy.reproduction.recipe import Recipe, recipe_of
from runstream_deploy.reproduction.script import files_of, script_of

__all__ = ["Recipe", "files_of", "recipe_of", "script_of"]
