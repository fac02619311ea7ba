"""Which job this process is a part of: Slurm, Kubernetes, torchrun, MPI, LSF, PBS, SGE, Ray."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

from runstream.masking import mask_text
from runstream.values import cut

MAX_BYTES = 1024
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# Kind of job to its facts; the first variable that is set counts. The first fact says whether there is such a job.
JOBS: dict[str, dict[str, tuple[str, ...]]] = {
    "slurm": {
        "job_id": ("SLURM_JOB_ID", "SLURM_JOBID"),
        "job_name": ("SLURM_JOB_NAME",),
        "array_job_id": ("SLURM_ARRAY_JOB_ID",),
        "array_task_id": ("SLURM_ARRAY_TASK_ID",),
        "step_id": ("SLURM_STEP_ID",),
        "cluster": ("SLURM_CLUSTER_NAME",),
        "partition": ("SLURM_JOB_PARTITION",),
        "account": ("SLURM_JOB_ACCOUNT",),
        "qos": ("SLURM_JOB_QOS",),
        "nodes": ("SLURM_JOB_NUM_NODES", "SLURM_NNODES"),
        "node_list": ("SLURM_JOB_NODELIST",),
        "node_name": ("SLURMD_NODENAME",),
        "node_id": ("SLURM_NODEID",),
        "tasks": ("SLURM_NTASKS",),
        "rank": ("SLURM_PROCID",),
        "local_rank": ("SLURM_LOCALID",),
        "cpus_per_task": ("SLURM_CPUS_PER_TASK",),
        "gpus": ("SLURM_GPUS", "SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE"),
        "restarts": ("SLURM_RESTART_COUNT",),
        "submit_dir": ("SLURM_SUBMIT_DIR",),
    },
    "kubernetes": {
        "service_host": ("KUBERNETES_SERVICE_HOST",),
        "pod": ("POD_NAME", "MY_POD_NAME", "HOSTNAME"),
        "namespace": ("POD_NAMESPACE", "MY_POD_NAMESPACE"),
        "pod_uid": ("POD_UID",),
        "node_name": ("NODE_NAME", "MY_NODE_NAME", "K8S_NODE_NAME"),
        "job_name": ("JOB_NAME",),
        "completion_index": ("JOB_COMPLETION_INDEX",),
    },
    "torchrun": {
        "job_id": ("TORCHELASTIC_RUN_ID",),
        "rank": ("RANK",),
        "local_rank": ("LOCAL_RANK",),
        "world_size": ("WORLD_SIZE",),
        "local_world_size": ("LOCAL_WORLD_SIZE",),
        "node_rank": ("GROUP_RANK",),
        "role": ("ROLE_NAME",),
        "restarts": ("TORCHELASTIC_RESTART_COUNT",),
        "master": ("MASTER_ADDR",),
    },
    "mpi": {
        "rank": ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK"),
        "world_size": ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"),
        "local_rank": ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "MV2_COMM_WORLD_LOCAL_RANK"),
        "local_world_size": ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"),
    },
    "lsf": {
        "job_id": ("LSB_JOBID",),
        "job_name": ("LSB_JOBNAME",),
        "queue": ("LSB_QUEUE",),
        "array_task_id": ("LSB_JOBINDEX",),
        "hosts": ("LSB_HOSTS",),
    },
    "pbs": {
        "job_id": ("PBS_JOBID",),
        "job_name": ("PBS_JOBNAME",),
        "queue": ("PBS_QUEUE",),
        "array_task_id": ("PBS_ARRAY_INDEX", "PBS_ARRAYID"),
        "submit_dir": ("PBS_O_WORKDIR",),
    },
    "sge": {
        "job_root": ("SGE_ROOT",),
        "job_id": ("JOB_ID",),
        "job_name": ("JOB_NAME",),
        "queue": ("QUEUE",),
        "array_task_id": ("SGE_TASK_ID",),
    },
    "ray": {
        "job_id": ("RAY_JOB_ID",),
        "address": ("RAY_ADDRESS",),
        "node_id": ("RAY_NODE_ID",),
    },
}


def job(env: Mapping[str, str]) -> dict[str, str]:
    """Facts named `slurm.job_id`, `torchrun.rank`, …, and `launcher`, the kinds found; empty in no job."""
    found: dict[str, str] = {}
    kinds = []
    for kind, facts in JOBS.items():
        told = {name: next((env[v] for v in variables if env.get(v)), "") for name, variables in facts.items()}
        if not told[next(iter(facts))]:
            continue
        kinds.append(kind)
        found.update({f"{kind}.{name}": mask_text(cut(text, MAX_BYTES)[0]) for name, text in told.items() if text})
    if "kubernetes" in kinds and "kubernetes.namespace" not in found:
        with contextlib.suppress(OSError):
            found["kubernetes.namespace"] = _NAMESPACE.read_text(errors="replace").strip()
    found.update(_ray() if "ray" in sys.modules else {})
    if "ray.job_id" in found and "ray" not in kinds:
        kinds.append("ray")
    if not kinds and env.get("RANK") and env.get("WORLD_SIZE"):
        kinds.append("ranks")
        found.update({"ranks.rank": env["RANK"], "ranks.world_size": env["WORLD_SIZE"]})
    return {"launcher": "+".join(kinds), **found} if kinds else {}


def _ray() -> dict[str, str]:
    """What a worker of Ray knows of itself; the package was loaded by the user."""
    try:
        ray = sys.modules["ray"]
        if not ray.is_initialized():
            return {}
        context = ray.get_runtime_context()
        told = {"job_id": context.get_job_id(), "node_id": context.get_node_id(), "task_id": context.get_task_id()}
    except Exception:  # noqa: BLE001 - any version of ray, in any state
        return {}
    return {f"ray.{name}": str(value) for name, value in told.items() if value}
