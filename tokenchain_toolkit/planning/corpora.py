"""The corpora that a recipe's ``db.sh`` names: which are there, which will be downloaded or left out."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tokenchain_toolkit.planning.corpus_contents import FOLDERS_ALONE, LIBRISPEECHES, PRETRAINED, lacking, nearby_corpus
from tokenchain_toolkit.planning.findings import FAIL, OK, WARN, Finding

EXPORTED = re.compile(r"^export ([A-Z][A-Z0-9_]*)=", re.MULTILINE)
NUMBER = re.compile(r"[0-9.]+")
MIRROR = "OPENSLR"  # the address of a server, where the others are folders or names on a hub


def check_corpora(recipe: Path, sets: Sequence[str] = ()) -> list[Finding]:
    """Every path that ``db.sh`` gives to this recipe's ``local/data.sh`` or configurations.

    Args:
        recipe: Folder of the recipe.
        sets: That its ``run.sh`` names.
    """
    script = recipe / "db.sh"
    if not script.is_file():
        return [Finding("corpora", WARN, "there is no db.sh here", "run this in a recipe's folder, egs2/*/tokenchain1")]
    found = [_judge(recipe, name, value, sets) for name, value in used_variables(recipe).items()]
    if not found:
        return [Finding("corpora", OK, "this recipe takes none from db.sh")]
    return found


def used_variables(recipe: Path) -> dict[str, str]:
    """The variables of ``db.sh`` that the recipe's ``local/data.sh`` or configurations name, with their values."""
    script = recipe / "db.sh"
    names = EXPORTED.findall(script.read_text(encoding="utf-8")) if script.is_file() else []
    used, values = _text_of_users(recipe), _exported(recipe)
    return {name: values.get(name, "") for name in names if re.search(rf"\b{name}\b", used)}


def _text_of_users(recipe: Path) -> str:
    """What may name a variable of ``db.sh``."""
    paths = [recipe / "run.sh", *sorted((recipe / "local").glob("*.sh")), *sorted((recipe / "conf").glob("*.yaml"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())


def _exported(recipe: Path) -> dict[str, str]:
    """The environment as ``db.sh`` leaves it; empty values where it fails."""
    done = subprocess.run(
        ["bash", "-c", ". ./db.sh >/dev/null && env -0"], cwd=recipe, capture_output=True, text=True, check=False
    )
    pairs = (entry.partition("=") for entry in done.stdout.split("\0"))
    return {name: value for name, _, value in pairs}


def _judge(recipe: Path, name: str, value: str, sets: Sequence[str]) -> Finding:
    """One variable."""
    try:
        return _judge_value(recipe, name, value, sets)
    except OSError as error:
        return Finding(name, FAIL, f"{value} cannot be read ({error.strerror})", f"mend its permissions, or {name}")


def _judge_value(recipe: Path, name: str, value: str, sets: Sequence[str]) -> Finding:
    """One variable.

    Raises:
        OSError: The folder cannot be read.
    """
    if name == MIRROR:
        return _judge_mirror(value)
    if not value:
        remedy = f"nothing if that is meant; else set {name} in db.sh or in the environment"
        return Finding(name, WARN, "not set: a corpus is then downloaded or left out; db.sh says which", remedy)
    if NUMBER.fullmatch(value):
        return Finding(name, OK, value)
    path = recipe / Path(value).expanduser()
    if path.is_dir() and any(path.iterdir()):
        return _judge_contents(name, path, sets)
    if path.is_dir():
        return Finding(name, FAIL, f"{path} is empty", f"put the corpus there, or mend {name} in db.sh")
    if value.startswith(("/", ".", "~")):
        return Finding(name, FAIL, f"{path} is no folder", f"mend {name} in db.sh or in the environment")
    if name in FOLDERS_ALONE:
        return Finding(name, WARN, f"{path} is no folder, and it is not fetched", f"set {name} before a --tag needs it")
    return Finding(name, WARN, f"{value}, a name on a hub: fetched at first use", f"or set {name} to a folder")


def _judge_contents(name: str, path: Path, sets: Sequence[str]) -> Finding:
    """A folder that is there: whether it is the corpus, and holds what the sets are made of."""
    missing = lacking(name, path, sets)
    if not missing:
        return Finding(name, OK, str(path))
    if name in PRETRAINED:
        remedy = f"set {name} to the model's folder; db.sh says how safetensors are made of a pytorch_model.bin"
        return Finding(name, FAIL, f"{path} has no {', '.join(missing)}", remedy)
    found = f"{path} has no {', '.join(missing)}, which stage data reads"
    nearby = nearby_corpus(name, path, missing, sets)
    if nearby is not None:
        return Finding(name, FAIL, found, f"set {name} to {nearby}")
    others = "; or name other sets: ./run.sh --stop_stage data says which it has" if name in LIBRISPEECHES else ""
    return Finding(name, FAIL, found, f"mend {name} in db.sh or in the environment{others}")


def _judge_mirror(value: str) -> Finding:
    """The server that archives of OpenSLR come from."""
    if not value:
        return Finding(MIRROR, OK, "not set: what is downloaded comes from the main server")
    if value.startswith("https://"):
        return Finding(MIRROR, OK, f"{value}, a mirror: what is downloaded comes from there")
    remedy = f"give an address such as https://openslr.elda.org/resources, or leave {MIRROR} empty"
    return Finding(MIRROR, FAIL, f"{value} is no address of a server", remedy)
