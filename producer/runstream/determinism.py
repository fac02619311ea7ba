"""Seeds and flags that decide whether a run can be repeated, as far as modules that are already loaded tell."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from runstream.masking import mask_text

VARIABLES = (
    "PYTHONHASHSEED",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    "PL_GLOBAL_SEED",
    "XLA_FLAGS",
    "NCCL_ALGO",
    "NCCL_PROTO",
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_PRNG_IMPL",
    "MKL_CBWR",
    "FLASH_ATTENTION_DETERMINISTIC",
)
TRIED = (*range(101), 123, 1234, 12345, 123456, 1337, 2**32 - 1, *range(2015, 2031), 3407)
"""Seeds that people use: `random` does not tell its seed, but a state equal to that of a fresh seed does."""


def determinism(env: Mapping[str, str]) -> dict[str, str]:
    """What is known now, by name such as `torch.seed`; never raises and loads nothing.

    `random.seed` and `numpy.seed` are known only until the first number is drawn, and `random.seed` only for a seed
    that another generator has too or that is common. `torch.seed` is known always; without a `torch.manual_seed` it is
    the fixed default.
    """
    found = {name: mask_text(env[name][:1000]) for name in VARIABLES if env.get(name)}
    for look in (_torch, _numpy, _jax, _tensorflow, _random):
        with contextlib.suppress(Exception):  # modules of any version, perhaps half loaded
            look(found)
    return found


def _torch(found: dict[str, str]) -> None:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    asked: dict[str, Callable[[], Any]] = {
        "seed": lambda: torch.initial_seed(),
        "deterministic_algorithms": lambda: torch.are_deterministic_algorithms_enabled(),
        "deterministic_warn_only": lambda: torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn_deterministic": lambda: torch.backends.cudnn.deterministic,
        "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
        "cudnn_allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
        "matmul_allow_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
        "float32_matmul_precision": lambda: torch.get_float32_matmul_precision(),
        "default_dtype": lambda: torch.get_default_dtype(),
    }
    for name, ask in asked.items():
        _ask(found, f"torch.{name}", ask)
    if torch.cuda.is_initialized():
        _ask(found, "torch.cuda_seed", lambda: torch.cuda.initial_seed())


def _numpy(found: dict[str, str]) -> None:
    numpy = sys.modules.get("numpy.random")
    if numpy is None:
        return
    state = numpy.get_state()
    if state[0] == "MT19937":
        # numpy.random.seed(n) makes n the first word of the state, which the first number drawn mixes up.
        if int(state[2]) == 624 and _same_state(numpy.RandomState(int(state[1][0])).get_state(), state):
            found["numpy.seed"] = str(int(state[1][0]))
        bit_generator = numpy.mtrand._rand._bit_generator
        found["numpy.seeded"] = "true" if getattr(bit_generator, "_seed_seq", "") is None else "false"


def _same_state(one: Any, other: Any) -> bool:
    return bool((one[1] == other[1]).all())


def _random(found: dict[str, str]) -> None:
    random = sys.modules.get("random")
    if random is None:
        return
    words = random.getstate()[1]
    if words[-1] != 624:  # something was drawn
        return
    elsewhere = [
        int(found[name]) for name in ("numpy.seed", "torch.seed", "PL_GLOBAL_SEED") if found.get(name, "").isdigit()
    ]
    fresh = random.Random(0)
    for seed in dict.fromkeys((*elsewhere, *TRIED)):
        fresh.seed(seed)
        if fresh.getstate()[1] == words:
            found["random.seed"] = str(seed)
            return


def _jax(found: dict[str, str]) -> None:
    jax = sys.modules.get("jax")
    if jax is None:
        return
    for name in (
        "jax_enable_x64",
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
        "jax_default_matmul_precision",
    ):
        _ask(found, f"jax.{name.removeprefix('jax_')}", functools.partial(getattr, jax.config, name))


def _tensorflow(found: dict[str, str]) -> None:
    context = sys.modules.get("tensorflow.python.eager.context")
    if context is not None:
        _ask(found, "tensorflow.seed", lambda: context.global_seed())
    config = sys.modules.get("tensorflow.python.framework.config")
    if config is not None:
        _ask(found, "tensorflow.op_determinism", lambda: config.is_op_determinism_enabled())


def _ask(found: dict[str, str], name: str, ask: Callable[[], Any]) -> None:
    try:
        value = ask()
    except Exception:  # noqa: BLE001 - not in this version
        return
    if value is not None:
        found[name] = str(value).lower() if isinstance(value, bool) else str(value)[:200]
