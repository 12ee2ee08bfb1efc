# shellcheck shell=bash
# Where the sharded stages run: local (processes on this machine) or slurm (job arrays through submitit).
export TOKENCHAIN_EXECUTOR=${TOKENCHAIN_EXECUTOR:-local}
