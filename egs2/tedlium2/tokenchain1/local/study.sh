#!/usr/bin/env bash
# What the study needs beside the text units: the source's models. On GPUs: ./study.sh --device cuda
set -euo pipefail

./run.sh --stage train_asr --stop_stage train_t2s
