"""The steps of a recipe as a shell script, and the files that it needs beside it."""

from __future__ import annotations

import re
import shlex
from importlib import resources
from pathlib import PurePosixPath

from runstream.masking import MASK
from runstream.source_code import NOTEBOOK, PATCH, SCRIPTS
from runstream_deploy.reproduction.losses import submodules, unknown_files
from runstream_deploy.reproduction.recipe import Recipe

SCRIPT, REQUIREMENTS, APPLY = "reproduce.sh", "requirements.txt", "apply_patch.py"
_ASKED = re.compile(r"\$\{(\w+):\?it was a secret, and has to be given\}")


def files_of(recipe: Recipe) -> dict[str, bytes]:
    """Every file of a directory that reproduces the run, by path; `reproduce.sh` is the one to run."""
    files = {SCRIPT: script_of(recipe, written=True).encode()}
    if recipe.requirements:
        files[REQUIREMENTS] = "".join(f"{line}\n" for line in recipe.requirements).encode()
    files.update(recipe.code_files)
    if PATCH in recipe.code_files:
        files[APPLY] = _apply().encode()
    return files


def script_of(recipe: Recipe, *, written: bool = False) -> str:
    """The script. `written`: its files lie beside it; else it makes or fetches them itself."""
    steps = [
        _code(recipe, written=written),
        _environment(recipe, written=written),
        _variables(recipe),
        _data(recipe),
        _command(recipe),
    ]
    # What is missing is said before a clone and an environment are made.
    asked = dict.fromkeys(match[0] for step in steps for line in step for match in _ASKED.finditer(line))
    heading = [*_heading(recipe), *(f': "{one}"' for one in asked)]
    return "\n\n".join("\n".join(step) for step in [heading, *steps] if step) + "\n"


def _apply() -> str:
    return resources.files("runstream_deploy.reproduction").joinpath(APPLY).read_text()


def _heading(recipe: Recipe) -> list[str]:
    lines = [
        "#!/usr/bin/env bash",
        *_comment(f"Run {recipe.run_name} ({recipe.run_id}) of project {recipe.project}, to be done again."),
        "# bash reproduce.sh [DIRECTORY]   PYTHON=... uses an environment that is there, REPOSITORY=... another clone",
    ]
    for problem in recipe.problems:
        lines += _comment(f"NOT REPRODUCIBLE: {problem}")
    if recipe.image:
        lines += _comment(f"It ran in the container image {recipe.image}")
    return [
        *lines,
        "set -euo pipefail",
        'HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"',
        'WORK="${1:-$HERE/work}"',
    ]


def _code(recipe: Recipe, *, written: bool) -> list[str]:
    lines = ["# Code"]
    if recipe.commit:
        remote = re.sub(r'["`$\\\\}]', "", recipe.remote)  # what no address needs, and a shell would read
        default = f":-{remote}" if recipe.remote else ":?it had no remote, so say where a clone of it is"
        lines += [
            f'REPOSITORY="${{REPOSITORY{default}}}"',
            'git clone --quiet "$REPOSITORY" "$WORK"',
            f'git -C "$WORK" checkout --quiet --detach {shlex.quote(recipe.commit)}' + _of_branch(recipe),
        ]
        lines.append('[ ! -e "$WORK/.gitmodules" ] || git -C "$WORK" submodule --quiet update --init --recursive')
        for module in submodules(recipe.code_files.get(PATCH, b"")):
            place = f'"$WORK"/{shlex.quote(module.path)}'
            lines.append(f"git -C {place} checkout --quiet --detach {module.commit}   # not the one of the commit")
    else:
        lines.append('mkdir -p "$WORK"')
    scripts = [name for name in recipe.code_files if name.startswith(f"{SCRIPTS}/")]
    if (PATCH in recipe.code_files or scripts) and not written:
        fetch = f'runstream artifacts get {shlex.quote(recipe.code)} "$HERE" --project {shlex.quote(recipe.project)}'
        lines.append(fetch)
    if PATCH in recipe.code_files:
        if unknown := unknown_files(recipe.code_files[PATCH]):
            lines.append(f"# {unknown} files that git did not know are not brought back; diff.patch names them")
        masked = MASK.encode() in recipe.code_files[PATCH]
        if masked and not written:
            lines += [f"cat > \"$HERE/{APPLY}\" <<'APPLY_PATCH'", _apply().rstrip("\n"), "APPLY_PATCH"]
        if masked or written:
            lines.append(f'python3 "$HERE/{APPLY}" "$HERE/{PATCH}" "$WORK"')
        else:
            lines.append(f'git -C "$WORK" apply --whitespace=nowarn --allow-empty "$HERE/{PATCH}"')
    for name in scripts:
        place = _below(recipe, str(PurePosixPath(recipe.cwd) / _script_argument(recipe, name)))
        lines.append(f'mkdir -p "$(dirname {place})" && cp "$HERE"/{shlex.quote(name)} {place}')
    if NOTEBOOK in recipe.code_files:
        lines.append("# notebook.py holds the cells that were run, in order.")
    return lines


def _environment(recipe: Recipe, *, written: bool) -> list[str]:
    lines = [f"# Environment: Python {recipe.python}"]
    for name, digest in recipe.locks.items():
        lines += _comment(f"{name} of the code then: {digest}")
    if not recipe.requirements:
        return [*lines, 'PYTHON="${PYTHON:-python3}"']
    lines.append('export WORK; if [ -z "${PYTHON:-}" ]; then')
    if not written:
        lines += ["cat > \"$HERE/requirements.txt\" <<'REQUIREMENTS'", *recipe.requirements, "REQUIREMENTS"]
    return [
        *lines,
        f'  uv venv --quiet --python {shlex.quote(recipe.python)} "$WORK/.venv"',
        '  PYTHON="$WORK/.venv/bin/python"',
        '  uv pip install --quiet --python "$PYTHON" -r "$HERE/requirements.txt"',
        "fi",
    ]


def _variables(recipe: Recipe) -> list[str]:
    lines = []
    for name, text in recipe.variables.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            continue
        lines.append(f"export {name}={_filled(text, name)}")
    for name, text in recipe.others.items():
        lines += _comment(f"The launcher had set {name}={text}")
    for name, text in sorted(recipe.determinism.items()):
        if not name.isupper():
            lines += _comment(f"Found while it ran: {name} = {text}")
    return ["# Variables", *lines] if lines else []


def _data(recipe: Recipe) -> list[str]:
    lines: list[str] = []
    for one in recipe.inputs:
        if one.kind == "artifact":
            got = f"runstream artifacts get {shlex.quote(one.name)} --project {shlex.quote(recipe.project)}"
            lines += _comment(f"artifact {one.name}, digest {one.digest}; the run fetches it, and by hand: {got}")
            continue
        lines += _comment(
            f"{one.kind} {one.name}, digest {one.digest}" + (f", from {one.source}" if one.source else "")
        )
        if one.kind in ("file", "directory", "uri") and one.source and MASK not in one.source:
            lines.append(f"check_data {_below(recipe, one.source)} {one.digest}")
    for one in recipe.outputs:
        lines += _comment(f"It made {one.name}, digest {one.digest}")
    check = [
        "check_data() {",
        '  if ! command -v runstream > /dev/null; then echo "$1 is not checked: runstream is not installed" >&2',
        '  elif ! found="$(runstream fingerprint "$1")"; then echo "$1 is not there" >&2',
        '  elif [ "$found" != "$2" ]; then echo "$1 is not what the run read: its digest is $found" >&2; fi',
        "}",
    ]
    has_checks = any(line.startswith("check_data") for line in lines)
    return ["# Data", *(check if has_checks else []), *lines] if lines else []


def _command(recipe: Recipe) -> list[str]:
    lines = ["# Command"]
    if recipe.job:
        told = ", ".join(f"{name}={text}" for name, text in sorted(recipe.job.items()))
        lines += _comment(f"This process was a part of a job, which is to be started as such: {told}")
    lines.append(f"cd {_below(recipe, recipe.cwd)}" if recipe.cwd else 'cd "$WORK"')
    if not recipe.command:
        return [*lines, "# The command line was not captured."]
    words = ['"$PYTHON"']
    before = ""
    for argument in recipe.command[1:]:
        words.append(_argument(recipe, argument, before))
        before = argument
    return [*lines, "exec " + " ".join(words)]


def _argument(recipe: Recipe, argument: str, before: str) -> str:
    if MASK in argument:
        name = argument.partition("=")[0] if "=" in argument else before
        return _filled(argument, name)
    path = PurePosixPath(argument)
    if path.is_absolute():
        if recipe.prefix and path.is_relative_to(recipe.prefix):
            return f'"$(dirname "$PYTHON")/.."/{shlex.quote(str(path.relative_to(recipe.prefix)))}'
        if recipe.root and path.is_relative_to(recipe.root):
            return _below(recipe, argument)
    return shlex.quote(argument)


def _below(recipe: Recipe, path: str) -> str:
    """The path, in the new working tree where it was in the old one."""
    place = PurePosixPath(path)
    base = recipe.root or recipe.cwd
    if base and place.is_relative_to(base):
        inside = str(place.relative_to(base))
        return '"$WORK"' if inside == "." else f'"$WORK"/{shlex.quote(inside)}'
    return shlex.quote(path)


def _script_argument(recipe: Recipe, name: str) -> str:
    """How the command line names the script that was kept as `script/<name>`."""
    file = PurePosixPath(name).name
    return next((word for word in recipe.command[1:] if PurePosixPath(word).name == file), file)


def _filled(text: str, name: str) -> str:
    """A shell word; what was masked in it is taken from a variable, which has to be given."""
    if MASK not in text:
        return shlex.quote(text)
    variable = re.sub(r"\W", "_", name.lstrip("-+~")).upper().strip("_") or "SECRET"
    variable = variable if variable[0].isalpha() else f"SECRET_{variable}"
    given = f'"${{{variable}:?it was a secret, and has to be given}}"'
    return given.join(shlex.quote(part) if part else "" for part in text.split(MASK))


def _of_branch(recipe: Recipe) -> str:
    safe = re.sub(r"[^\x20-\x7e]", "?", recipe.branch)
    return f"   # of branch {safe}" if safe and safe != "HEAD" else ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in text.splitlines() or [""]]
