"""A recipe on disk: the template, a new recipe from it, and three small sets."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tokenchain_toolkit.data.kaldi import write_data_dir

TEMPLATE = Path(__file__).resolve().parents[2] / "egs2" / "TEMPLATE"
PACKAGE = TEMPLATE.parents[1] / "tokenchain_toolkit"
SETS = {"train": ("ann", "a bad cab"), "valid": ("bob", "bad"), "test": ("cy", "a cab")}


def write_set(recipe, name, speaker, text):
    """A set of two utterances."""
    ids = [f"{speaker}-{name}-{number}" for number in range(2)]
    folder = recipe / "data" / "wav"
    folder.mkdir(parents=True, exist_ok=True)
    for seed, utt_id in enumerate(ids):
        noise_T = np.random.default_rng(seed).uniform(-0.1, 0.1, 3200)
        soundfile.write(folder / f"{utt_id}.wav", noise_T, 16000)
    wavs = {utt_id: str(folder / f"{utt_id}.wav") for utt_id in ids}
    write_data_dir(
        recipe / "data" / name, wavs=wavs, texts=dict.fromkeys(ids, text), speakers=dict.fromkeys(ids, speaker)
    )


@pytest.fixture
def new_recipe(tmp_path):
    """A recipe as setup.sh makes it, filled in, with its three sets."""
    shutil.copytree(TEMPLATE, tmp_path / "egs2" / "TEMPLATE", symlinks=True)
    (tmp_path / "tokenchain_toolkit").symlink_to(PACKAGE)
    recipe = tmp_path / "egs2" / "mine" / "tokenchain1"
    subprocess.run([tmp_path / "egs2/TEMPLATE/tokenchain1/setup.sh", recipe], check=True, capture_output=True)
    script = recipe / "local" / "data.sh"
    script.write_text("#!/usr/bin/env bash\n# Stage 1 of mine: the sets are there.\n")
    script.chmod(0o755)
    for name, (speaker, text) in SETS.items():
        write_set(recipe, name, speaker, text)
    return recipe


@pytest.fixture
def edit():
    """A function that replaces a part of a file, which must be there."""

    def replace(path, old, new):
        content = path.read_text(encoding="utf-8")
        assert old in content
        path.write_text(content.replace(old, new), encoding="utf-8")

    return replace
