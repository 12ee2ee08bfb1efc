#!/usr/bin/env bash
# What the study needs beside the text units: the source's models. On one GPU: ./study.sh --num_jobs 1 --device cuda
set -euo pipefail

./run.sh --stage train_asr --stop_stage train_t2s
