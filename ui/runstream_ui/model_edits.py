"""What people do with models and their versions, each with the way back where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runstream.edits import ModelEdit
from runstream_storage.queries import Model, ModelVersion
from runstream_storage.queries.results import ArtifactVersion
from runstream_ui import edits, formats
from runstream_ui.edits import Change


def register(artifact: ArtifactVersion, model: str, *, stage: str, aliases: Iterable[str], note: str) -> None:
    """Enter a version of an artifact as the next version of `model` of its project, which begins with it where new."""
    there = (artifact.name, artifact.digest)
    steps = [ModelEdit(model, "register", *there, note=note)]
    steps += [ModelEdit(model, "stage", *there, value=stage)] if stage else []
    steps += [ModelEdit(model, "alias", *there, value=alias) for alias in aliases]
    said = f"{formats.middle_cut(artifact.name, 30)}:{artifact.version} registered as {formats.middle_cut(model, 30)}."
    edits.apply(
        Change(artifact.project, models=steps),
        said,
        undo=Change(artifact.project, models=[ModelEdit(model, "delete", *there)]),
    )


def promote(version: ModelVersion, stage: str, note: str) -> None:
    """Put it into a stage, or out of all with an empty one; others stay in theirs."""
    word = f"is in {stage} now" if stage else "is in no stage now"
    _do(version, [("stage", stage)], note, word, back=[("stage", version.stage)])


def judge(version: ModelVersion, *, approved: bool, note: str) -> None:
    """Approve or reject it; the word of another time stays in the history."""
    before = {"approved": "approve", "rejected": "reject"}.get(version.verdict, "")
    action = "approve" if approved else "reject"
    back = [(before, "")] if before and before != action else []
    _do(version, [(action, "")], note, "approved" if approved else "rejected", back=back)


def edit_version(
    version: ModelVersion, *, aliases: Sequence[str], tags: Sequence[str], description: str, note: str
) -> None:
    """A version as a form left it; what the form did not change is not written."""
    gained = [("alias", alias) for alias in aliases if alias not in version.aliases]
    lost = [("alias", alias) for alias in version.aliases if alias not in aliases]
    tagged = [("tag", tag) for tag in tags if tag not in version.tags]
    untagged = [("tag", tag) for tag in version.tags if tag not in tags]
    steps = [*gained, *_without(lost), *tagged, *_without(untagged)]
    back = [*_without(gained), *lost, *_without(tagged), *untagged]
    if description != version.description:
        steps.append(("describe", description))
        back.append(("describe", version.description))
    if steps:
        _do(version, steps, note, "changed", back=back)


def delete(version: ModelVersion, note: str = "") -> None:
    _do(version, [("delete", "")], note, "deleted", back=[("restore", "")])


def restore(version: ModelVersion) -> None:
    _do(version, [("restore", "")], "", "restored", back=[("delete", "")])


def edit_model(model: Model, *, description: str, tags: Sequence[str]) -> None:
    """The model as a whole."""
    steps: list[ModelEdit] = []
    back: list[ModelEdit] = []
    if description != model.description:
        steps.append(ModelEdit(model.name, "describe", value=description))
        back.append(ModelEdit(model.name, "describe", value=model.description))
    for tag in [*tags, *model.tags]:
        if (tag in tags) != (tag in model.tags):
            steps.append(ModelEdit(model.name, "tag" if tag in tags else "untag", value=tag))
            back.append(ModelEdit(model.name, "untag" if tag in tags else "tag", value=tag))
    if steps:
        _whole(model, steps, "changed", back)


def delete_model(model: Model) -> None:
    """With all its versions, which stay artifacts."""
    _whole(model, [ModelEdit(model.name, "delete")], "deleted", [ModelEdit(model.name, "restore")])


def restore_model(model: Model) -> None:
    _whole(model, [ModelEdit(model.name, "restore")], "restored", [ModelEdit(model.name, "delete")])


def _whole(model: Model, steps: Sequence[ModelEdit], word: str, back: Sequence[ModelEdit]) -> None:
    said = f"{formats.middle_cut(model.name, 40)} {word}."
    edits.apply(Change(model.project, models=steps), said, undo=Change(model.project, models=back))


def _do(
    version: ModelVersion,
    steps: Sequence[tuple[str, str]],
    note: str,
    word: str,
    *,
    back: Sequence[tuple[str, str]],
) -> None:
    def made(action: str, value: str, said: str = "") -> ModelEdit:
        return ModelEdit(version.model, action, version.artifact, version.digest, value, said, version.artifact_project)

    undo = Change(version.project, models=[made(action, value) for action, value in back])
    edits.apply(
        Change(version.project, models=[made(action, value, note) for action, value in steps]),
        f"{formats.middle_cut(version.model, 40)} {version.version} {word}.",
        undo=undo if back else None,
    )


def _without(steps: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(f"un{action}", value) for action, value in steps]
