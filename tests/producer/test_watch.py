"""run.watch: gradients and weights now and then, and nothing in between.

No torch is installed here: `Module` and `Parameter` do what torch's do with hooks, handles included.
"""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import runstream

Held = Any


class Handle:
    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = weakref.ref(Hooks.of(hooks))
        self._key = max(hooks, default=0) + 1

    @property
    def key(self) -> int:
        return self._key

    def remove(self) -> None:
        hooks = self._hooks()
        if hooks is not None:
            hooks.pop(self._key, None)


class Hooks(dict[int, Any]):
    @staticmethod
    def of(hooks: Any) -> "Hooks":
        assert isinstance(hooks, Hooks)
        return hooks

    def add(self, hook: Callable[..., Any]) -> Handle:
        handle = Handle(self)
        self[handle.key] = hook
        return handle


class Parameter:
    def __init__(self, *values: float, requires_grad: bool = True) -> None:
        self.data = np.array(values)
        self.requires_grad = requires_grad
        self.hooks = Hooks()
        self.hooked = 0

    shape = property(lambda self: self.data.shape)

    def detach(self) -> Any:
        return self.data

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.data

    def register_hook(self, hook: Callable[..., Any]) -> Handle:
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        self.hooked += 1
        return self.hooks.add(hook)


class Module:
    def __init__(self) -> None:
        self.training = True
        self.hooks = Hooks()
        self.weights = {"fc.weight": Parameter(1.0, 2.0, 3.0), "fc.bias": Parameter(0.5, requires_grad=False)}

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return list(self.weights.items())

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        return self.hooks.add(hook)

    def forward(self) -> None:
        for hook in list(self.hooks.values()):
            assert hook(self, (), None) is None

    def backward(self, gradient: Any = (0.1, -0.2)) -> None:
        for parameter in self.weights.values():
            for hook in list(parameter.hooks.values()):
                assert hook(np.array(gradient)) is None

    def step(self) -> None:
        self.forward()
        self.backward()


@pytest.fixture
def run() -> runstream.Run:
    return runstream.init(project="watched", mode="offline")


def logged(held: Held, run: runstream.Run) -> list[tuple[str, int]]:
    return [(event["name"], event["step"]) for event in held(run).of("HistogramLogged")]


def test_gradients_are_logged_every_so_many_passes_at_the_step_of_the_next_log(run: runstream.Run, held: Held) -> None:
    model = Module()
    run.watch(model, log_freq=3)
    for step in range(7):
        model.step()
        run.log({"loss": step})
    assert logged(held, run) == [("gradients/fc/weight", step) for step in (0, 3, 6)]
    (first, *_) = held(run).of("HistogramLogged")
    assert (first["edges"][0], first["edges"][-1], sum(first["counts"])) == (-0.2, 0.1, 2)


def test_who_counts_the_steps_finds_gradients_at_the_step_of_their_pass(run: runstream.Run, held: Held) -> None:
    model = Module()
    run.watch(model, log_freq=2)
    for step in range(100, 105):
        model.step()
        run.log({"loss": step}, step=step)
    assert logged(held, run) == [("gradients/fc/weight", step) for step in (100, 102, 104)]
    assert held(run).series("loss") == [(step, step) for step in range(100, 105)]


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("parameters", ["parameters/net/fc/weight", "parameters/net/fc/bias"]),
        ("all", ["parameters/net/fc/weight", "parameters/net/fc/bias", "gradients/net/fc/weight"]),
        (None, []),
    ],
)
def test_what_is_logged_can_be_chosen_and_named(run: runstream.Run, held: Held, what: str, names: list[str]) -> None:
    model = Module()
    run.watch(model, log=what, log_freq=5, name="net")
    for _ in range(4):
        model.step()
    run.finish()
    assert [name for name, _ in logged(held, run)] == names


def test_between_the_logged_passes_no_parameter_has_a_hook(run: runstream.Run) -> None:
    model = Module()
    run.watch(model, log_freq=100)
    for _ in range(100):
        model.step()
    weight = model.weights["fc.weight"]
    assert (weight.hooked, len(weight.hooks)) == (1, 0)


def test_passes_without_a_backward_and_in_eval_mode_leave_nothing(run: runstream.Run, held: Held) -> None:
    model = Module()
    run.watch(model, log_freq=1)
    model.training = False
    model.forward()
    assert not model.weights["fc.weight"].hooks
    model.training = True
    for _ in range(5):
        model.forward()
    assert len(model.weights["fc.weight"].hooks) == 1
    model.backward()
    model.backward()
    run.log({"loss": 1})
    assert logged(held, run) == [("gradients/fc/weight", 0)]


def test_unwatch_takes_all_hooks_away(run: runstream.Run, held: Held) -> None:
    first, second = Module(), Module()
    run.watch([first, second], log_freq=1)
    first.forward()
    run.unwatch(first)
    assert not first.hooks
    assert not first.weights["fc.weight"].hooks
    assert second.hooks
    run.unwatch()
    assert not second.hooks
    first.step()
    second.step()
    assert logged(held, run) == []


def test_several_models_have_names_of_their_own(run: runstream.Run, held: Held) -> None:
    models = [Module(), Module()]
    run.watch(models, log_freq=1)
    for model in models:
        model.step()
    run.log({"loss": 1})
    assert logged(held, run) == [("gradients/0/fc/weight", 0), ("gradients/1/fc/weight", 0)]


def test_nothing_keeps_the_model_or_the_run_alive(run: runstream.Run) -> None:
    model = Module()
    run.watch(model, log="all", log_freq=1)
    model.forward()
    gone = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert gone() is None  # at once: there is no cycle
    finally:
        gc.enable()
    run.watch(Module())
    assert len(run._watches) == 1


def test_the_end_of_the_run_takes_the_hooks_away_and_keeps_what_waited_for_a_step(
    run: runstream.Run, held: Held
) -> None:
    model = Module()
    run.watch(model, log_freq=1)
    run.log({"loss": 1}, step=7)
    model.step()
    run.finish()
    assert not model.hooks
    assert logged(held, run) == [("gradients/fc/weight", 7)]


def test_a_copy_of_the_model_is_not_watched_and_it_can_be_pickled(run: runstream.Run, held: Held) -> None:
    model = Module()
    run.watch(model, log_freq=1)
    average = copy.deepcopy(model)
    average.step()
    run.log({"loss": 1})
    assert logged(held, run) == []
    again = pickle.loads(pickle.dumps(list(model.hooks.values())))
    assert again[0](model, (), None) is None
    model.step()
    run.log({"loss": 1})
    assert len(logged(held, run)) == 1


class Scripted(Module):
    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        raise RuntimeError("register_forward_hook is not supported on ScriptModules")


@pytest.mark.parametrize(
    "arguments",
    [
        (object(),),
        (Scripted(),),
        (None,),
        ({"w": np.zeros(3)},),
        (Module(), "everything"),
        (Module(), "all", 0),
        (Module(), "all", 1.5),
    ],
)
def test_what_cannot_be_watched_is_refused_with_a_warning(
    run: runstream.Run, arguments: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run.watch(*arguments)
    assert "watch()" in caplog.text
    assert run._watches == []
    assert run.dropped == 0


def test_trouble_in_a_hook_is_a_warning_and_training_goes_on(run: runstream.Run, held: Held, caplog: Any) -> None:
    class Broken(Module):
        def named_parameters(self) -> Any:
            raise RuntimeError("compiled away")

    model = Broken()
    run.watch(model, log_freq=1)
    model.forward()
    assert "compiled away" in caplog.text
    good = Module()
    run.watch(good, log_freq=1)
    good.forward()
    good.backward(())
    assert "0 values" in caplog.text
    run.log({"loss": 1})
    assert held(run).series("loss") == [(0, 1)]


def test_a_model_without_hooks_has_histograms_of_its_parameters(run: runstream.Run, held: Held) -> None:
    run.log_histograms(Module(), prefix="weights")
    assert logged(held, run) == [("weights/fc/weight", 0), ("weights/fc/bias", 0)]
