"""From the settings of a study to its pieces, each after those that it needs; runs in a recipe's folder."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenchain_toolkit.config.asr import ASRConfig, ASRDecodingConfig
from tokenchain_toolkit.config.chain import ChainConfig
from tokenchain_toolkit.config.grid import ModelSettings, PairSettings, StudyConfig
from tokenchain_toolkit.config.load import config_dict, load_config
from tokenchain_toolkit.config.t2s import T2SConfig
from tokenchain_toolkit.errors import ConfigError
from tokenchain_toolkit.tasks.grid_cells import MODELS, Cell, cells_of
from tokenchain_toolkit.tasks.grid_work import MeasurePair, ReadSet, TrainChain, TrainModel, Work
from tokenchain_toolkit.tasks.training_sets import ChainSets, SetFolders, TrainingSets

DATA, DUMP = Path("data"), Path("dump")


@dataclass(frozen=True)
class Run:
    """A run of a grid with the piece of work that it is and its settings over the YAML file."""

    cell: Cell
    work: TrainChain
    overrides: list[str]


@dataclass(frozen=True)
class Study:
    """What is to be carried out.

    Attributes:
        out: Folder of the study.
        runs: All runs, chosen or not.
        chosen: The pieces that are wanted, and those they need, in order.
    """

    out: Path
    runs: list[Run]
    chosen: list[Work]


def plan_study(config: StudyConfig, *, out: Path, only: Sequence[str] = (), device: str = "cpu") -> Study:
    """Pieces of a study; reads configurations and nothing else.

    Args:
        config: The study.
        out: Its folder.
        only: What is wanted: names of pieces, or their beginnings up to a ``/``, such as a grid's; all if empty.
        device: Torch device of recognition and of the evaluation before training; training finds GPUs by itself.

    Raises:
        ConfigError: A setting does not fit, or ``only`` names what there is not.
    """
    cells = cells_of(config)
    if not cells:
        raise ConfigError("the study has no grids, so there is nothing to run; see tokenchain_toolkit.config.grid")
    planner = _Planner(out, device, config.models)
    for name in dict.fromkeys(cell.settings.models for cell in cells):
        planner.add_pair(name, config.models[name])
    runs = [planner.add_run(cell) for cell in cells]
    works = [*planner.works.values(), *(run.work for run in runs)]
    return Study(out, runs, _chosen(works, only))


@dataclass(frozen=True)
class _Pair:
    """Folders of a pretrained ASR and T2S, and the names of the pieces that make them: none if they are finished."""

    asr: Path
    t2s: Path
    pieces: tuple[str, ...]


class _Planner:
    """Collects pieces; those that several runs share are there once."""

    def __init__(self, out: Path, device: str, models: Mapping[str, PairSettings]):
        self.out, self.device, self.models = out, device, models
        self.works: dict[str, Work] = {}
        self.pairs: dict[str, _Pair] = {}
        self.readers: dict[Path, str] = {}

    def add_pair(self, name: str, pair: PairSettings) -> None:
        """Training of a pair, unless its models are finished, and what its ASR reads."""
        place = f"{MODELS}/{name}"
        pieces: tuple[str, ...] = ()
        if pair.folder is None:
            pieces = self._add_training(place, pair)
            asr, t2s = self.out / pieces[0], self.out / pieces[-1]
        else:
            asr, t2s = Path(pair.folder) / "asr", Path(pair.folder) / "t2s"
        self.pairs[name] = _Pair(asr, t2s, pieces)
        for set_name in pair.decode:
            where = f"{place}/decode_{set_name}"
            self.readers[self.out / where / "text"] = where
            self.works[where] = ReadSet(
                where,
                self.out / where,
                pieces[:1],
                model=asr,
                dump=_folder(set_name, pair.tokenizer).dump,
                config=load_config(ASRDecodingConfig, Path(pair.decode_config)),
                device=self.device,
            )

    def _add_training(self, place: str, pair: PairSettings) -> tuple[str, ...]:
        """Training of the models of a pair; the names of the pieces that do it, the ASR's first."""
        assert pair.valid_set is not None
        sets = TrainingSets(_folders(pair.train_sets, pair.tokenizer), _folder(pair.valid_set, pair.tokenizer))
        models: list[str] = []
        for kind, schema, given in (("asr", ASRConfig, pair.asr), ("t2s", T2SConfig, pair.t2s)):
            if given is None:
                continue
            where = f"{place}/{kind}"
            config = _load(schema, given, where=where)
            token_list = DATA / "token_list" / (pair.token_list or pair.tokenizer)
            models.append(self._add_model(TrainModel(where, self.out / where, (), config, sets, token_list)))
        return tuple(models)

    def _add_model(self, model: TrainModel) -> str:
        """Name of the piece that trains this model; pairs that have it in common share it."""
        for name, work in self.works.items():
            if isinstance(work, TrainModel) and replace(work, name=model.name, folder=model.folder) == model:
                return name
        self.works[model.name] = model
        return model.name

    def add_run(self, cell: Cell) -> Run:
        """A run, and the evaluation of its pair."""
        settings, place = cell.settings, f"{MODELS}/{cell.settings.models}"
        overrides = cell.overrides(self.out)
        config = _load(ChainConfig, ModelSettings(settings.config, overrides), where=cell.name)
        sets = ChainSets(
            train=_folders(settings.train_sets, settings.tokenizer),
            valid=_folder(settings.valid_set, settings.tokenizer),
            speech=_folders(settings.speech_sets, settings.tokenizer),
            text=tuple(DATA / name for name in settings.text_sets),
            evaluate={name: _folder(name, settings.tokenizer) for name in settings.test_sets},
        )
        pair = self.pairs[settings.models]
        folders = {"asr": pair.asr, "t2s": pair.t2s}
        judge = self._judge(cell, config)
        key = _key([settings.test_sets, config_dict(config.evaluation)])
        before = f"{place}/before_{key}"
        self.works[before] = MeasurePair(
            before,
            self.out / before,
            (*pair.pieces, *judge),
            sets=sets.evaluate,
            config=config.evaluation,
            device=self.device,
            **folders,
        )
        needs = (*pair.pieces, before, *judge, *self._labels(cell, config))
        run = TrainChain(cell.name, self.out / cell.name, needs, config, sets, before=self.out / before, **folders)
        return Run(cell, run, overrides)

    def _judge(self, cell: Cell, config: ChainConfig) -> list[str]:
        """The piece that trains the judge of T2S, if there is one and the study makes it."""
        if config.evaluation.judge is None or not Path(config.evaluation.judge).is_relative_to(self.out):
            return []
        for name, pair in self.models.items():
            if Path(config.evaluation.judge) == self.out / MODELS / name / "asr" and pair.folder is None:
                if name not in self.pairs:
                    self.add_pair(name, pair)
                return list(self.pairs[name].pieces[:1])
        raise ConfigError(
            f"{cell.name}: nothing makes {config.evaluation.judge}, its judge; it is the asr of one of models"
        )

    def _labels(self, cell: Cell, config: ChainConfig) -> list[str]:
        """The piece that makes the labels of speech alone, if there are labels and the study makes them."""
        if config.unpaired.labels is None:
            return []
        labels = Path(config.unpaired.labels)
        if labels in self.readers:
            return [self.readers[labels]]
        if labels.is_relative_to(self.out):
            raise ConfigError(f"{cell.name}: nothing makes {labels}, its labels; add the set to models.*.decode")
        return []


def _chosen(works: Sequence[Work], only: Sequence[str]) -> list[Work]:
    """The wanted pieces, and those they need, in order."""
    wanted: set[str] = set()
    for name in only:
        found = {work.name for work in works if f"{work.name}/".startswith(f"{name.rstrip('/')}/")}
        if not found:
            known = ", ".join(dict.fromkeys("/".join(work.name.split("/")[:2]) for work in works))
            raise ConfigError(f"--only {name}: there is no such run or model; names begin with {known}")
        wanted |= found
    if not only:
        return list(works)
    for work in reversed(works):
        if work.name in wanted:
            wanted |= set(work.needs)
    return [work for work in works if work.name in wanted]


def _load(schema: type[Any], given: ModelSettings, *, where: str) -> Any:
    """The configuration of an experiment.

    Raises:
        ConfigError: A setting does not fit, or asks for several devices.
    """
    try:
        config = load_config(schema, Path(given.config), given.overrides)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if config.training.devices != 1 or config.training.num_nodes != 1:
        raise ConfigError(f"{where}: a run of a grid has one device; set training.devices=1, or raise --num_jobs")
    return config


def _folders(names: Sequence[str], tokenizer: str) -> tuple[SetFolders, ...]:
    return tuple(_folder(name, tokenizer) for name in names)


def _folder(name: str, tokenizer: str) -> SetFolders:
    return SetFolders(data=DATA / name, dump=DUMP / tokenizer / name)


def _key(values: Any) -> str:
    """A short name for settings."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
