"""What is known of a run that matters to do it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runstream.errors import RunstreamError
from runstream.source_code import NAME, PATCH, SCRIPTS
from runstream_deploy.reproduction.losses import binary_files, submodules

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from runstream_storage.queries import ArtifactVersion, RunHeader, Writer

MAX_FILE_BYTES = 64 << 20
HERE_ONLY = ("SLURM_", "KUBERNETES_", "POD_", "OMPI_", "TORCHELASTIC_", "HYDRA_", "LSB_", "PBS_")
NOT_AGAIN = (
    *("HOSTNAME", "MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "JOB_NAME"),
    *("VIRTUAL_ENV", "CONDA_DEFAULT_ENV"),
)
"""Variables that the launcher sets, or the shell: another start has its own."""
TOOLS = ("pip", "setuptools", "wheel", "uv")


@dataclass(frozen=True, slots=True)
class Input:
    """Data that the run read: a dataset or an artifact."""

    kind: str
    """`artifact`, or the kind of a dataset."""
    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """The facts behind the steps. Empty texts and collections: not captured."""

    run_id: str
    run_name: str
    project: str
    remote: str
    commit: str
    branch: str
    dirty: bool
    root: str
    code: str
    """Version of the artifact `source-code` that goes with it, or empty."""
    code_files: dict[str, bytes]
    """Its files by path: the patch, scripts that git did not have, the history of a notebook."""
    python: str
    prefix: str
    requirements: list[str]
    locks: dict[str, str]
    variables: dict[str, str]
    others: dict[str, str]
    """Variables that belong to the launcher: to look at, not to set."""
    command: tuple[str, ...]
    cwd: str
    job: dict[str, str]
    determinism: dict[str, str]
    image: str
    inputs: list[Input]
    outputs: list[Input]
    problems: list[str] = field(default_factory=list)
    """What cannot be had again, in words."""


def recipe_of(client: Client, header: RunHeader, store: Any) -> Recipe:
    """The recipe of a run, by what its newest attempt and lowest rank captured.

    `store` opens the object store when it is called; what it raises becomes a problem of the recipe.
    """
    from runstream_storage import queries

    run, writer = header.run, header.writers[0]
    problems: list[str] = []
    links = [link for link in queries.run_artifacts(client, run.project, run.run_id) if link.artifact]
    outputs = [link.artifact for link in links if link.role == "out" and link.artifact is not None]
    used = [link.artifact for link in links if link.role == "in" and link.artifact is not None]
    code = [version for version in outputs if version.name == NAME]
    files = _files(client, run.project, code[-1].digest, store, problems) if code else {}
    dirty = writer.git.get("dirty") == "true"
    if dirty and PATCH not in files:
        problems.append("files were changed that were not committed, and the changes are not here")
    if not writer.git.get("commit") and not any(name.startswith(f"{SCRIPTS}/") for name in files):
        problems.append("the code was in no git repository: it is not known")
    if b"\n# The patch is larger" in files.get(PATCH, b""):
        problems.append("the changes that were not committed were too large to be kept; their statistics are")
    problems += _lost(files.get(PATCH, b""))
    datasets = queries.datasets(client, run.project, [run.run_id])
    variables, others = _variables(writer)
    return Recipe(
        run_id=run.run_id,
        run_name=run.name,
        project=run.project,
        remote=writer.git.get("remote", ""),
        commit=writer.git.get("commit", ""),
        branch=writer.git.get("branch", ""),
        dirty=dirty,
        root=writer.git.get("root", ""),
        code=f"{NAME}:{code[-1].version}" if code else "",
        code_files=files,
        python=writer.python,
        prefix=writer.sources.get("python:prefix", ""),
        requirements=requirements(writer, problems),
        locks={name[5:]: text for name, text in writer.sources.items() if name.startswith("lock:")},
        variables=variables,
        others=others,
        command=writer.command,
        cwd=writer.cwd,
        job=writer.job,
        determinism=writer.determinism,
        image=writer.container.get("image", ""),
        inputs=[Input(one.kind, one.name, one.digest, one.source) for one in datasets]
        + [Input("artifact", _named(run.project, version), version.digest, "") for version in used],
        outputs=[Input("artifact", f"{v.name}:{v.version}", v.digest, "") for v in outputs if v.type != "code"],
        problems=problems,
    )


def _lost(patch: bytes) -> list[str]:
    """What the patch says that it lacks. Files that git did not know are mostly results, and said beside the patch."""
    lost = []
    if binary := binary_files(patch):
        more = f" and {len(binary) - 5} more" if len(binary) > 5 else ""
        lost.append(f"binary files were changed, which is not kept: {', '.join(binary[:5])}{more}")
    dirty = [module.path for module in submodules(patch) if module.dirty]
    if dirty:
        lost.append(f"submodules had changes that were not committed, which is not kept: {', '.join(dirty)}")
    return lost


def requirements(writer: Writer, problems: list[str]) -> list[str]:
    """Lines of a requirements file: each package pinned, from where it came.

    Packages that lie inside the repository are named by `${WORK}`; those elsewhere on that machine are comments, and
    `problems`.
    """
    lines: list[str] = []
    root = writer.git.get("root", "")
    indexes: dict[str, None] = {}
    for name, version in sorted(writer.packages.items()):
        source = writer.sources.get(name, "")
        if name in TOOLS:
            continue
        local = source.removeprefix("editable:").removeprefix("file://")
        if source.startswith(("editable:", "file://")):
            path, _, commit = local.partition("@")
            editable = "-e " if source.startswith("editable:") else ""
            if root and PurePosixPath(path).is_relative_to(root):
                inside = str(PurePosixPath(path).relative_to(root))
                lines.append(f"{editable}${{WORK}}" + (f"/{inside}" if inside != "." else ""))
            else:
                at = f" at commit {commit}" if commit else ""
                lines.append(f"# {name}=={version} was installed from {path}{at}")
                problems.append(f"the package {name} {version} came from {path}{at} on that machine")
        elif source:
            lines.append(f"{name} @ {source}")
        else:
            lines.append(f"{name}=={version}")
            flavour = version.partition("+")[2]
            if flavour.startswith(("cu", "cpu", "rocm", "xpu")):
                indexes[f"--extra-index-url https://download.pytorch.org/whl/{flavour}"] = None
    return [*indexes, *lines]


def _named(project: str, version: ArtifactVersion) -> str:
    """As a run of `project` asks for it."""
    of = "" if version.project == project else f"{version.project}/"
    return f"{of}{version.name}:{version.version}"


def _variables(writer: Writer) -> tuple[dict[str, str], dict[str, str]]:
    told = {**writer.environment, **{k: v for k, v in writer.determinism_at_start.items() if k.isupper()}}
    again = {k: v for k, v in sorted(told.items()) if k not in NOT_AGAIN and not k.startswith(HERE_ONLY)}
    return again, {k: v for k, v in sorted(told.items()) if k not in again}


def _files(client: Client, project: str, digest: str, store: Any, problems: list[str]) -> dict[str, bytes]:
    from runstream_storage import queries

    version = queries.artifact(client, project, NAME, digest, include_deleted=True)
    found: dict[str, bytes] = {}
    for file in version.files if version is not None else ():
        try:
            if file.size > MAX_FILE_BYTES:
                problems.append(f"{file.path} of {NAME} has {file.size} bytes; fetch it with `runstream artifacts get`")
                continue
            with store().open(file.key) as reader:
                found[file.path] = reader.read()
        except (OSError, RunstreamError, KeyError) as error:
            problems.append(f"{file.path} of {NAME} cannot be read from the object store: {error}")
    return found
