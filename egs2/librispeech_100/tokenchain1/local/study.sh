#!/usr/bin/env bash
# What the study needs beside the text units: the ASR and T2S of the recipe, which are there after ./run.sh. On several
# GPUs they are trained faster before: ./run.sh --num_gpus 8 --num_jobs 8 --stop_stage train_t2s
set -euo pipefail

./run.sh --stage train_asr --stop_stage train_t2s
