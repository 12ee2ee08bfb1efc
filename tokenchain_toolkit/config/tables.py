"""Settings of the paper's tables: for every row the run that fills it, and what the paper claims of it."""

from dataclasses import dataclass, field

from omegaconf import MISSING

from tokenchain_toolkit.errors import ConfigError

# What the claim says of our figure, and the sign that is good: an error that falls, epochs that are saved; and, where
# nothing is to get worse, an error that does not rise or an opinion that does not fall. ``none``: the claim is of
# another metric, so it stands beside our figure and says nothing of it.
SIGNS = {"lower": -1, "earlier": 1, "no_higher": -1, "no_lower": 1, "none": 0}
STABLE = ("no_higher", "no_lower")


@dataclass
class ScoredSettings:
    """A change that ``results.json`` of a recipe holds: an experiment against another.

    Chains are compared after equal epochs; against ``asr`` or ``t2s`` it is what a chain started from.
    """

    set: str = MISSING
    metric: str = MISSING
    experiment: str = "chain_st_argmax"
    baseline: str = "chain_baseline"


@dataclass
class StudiedSettings:
    """A change between two arms of a study's runs.

    Attributes:
        grid: Of the study.
        set: That was evaluated.
        arm: Axis -> label of the runs in question.
        against: Axis -> label of the runs that they are compared with; empty compares them with their own start.
        head: ``joint``, ``attention`` or ``ctc`` recognition, or ``t2s``.
        in_epochs: Whether the figure is by how many epochs the other's final rate is reached earlier.
        study: Folder of the runs in the recipe.
    """

    grid: str = MISSING
    set: str = MISSING
    arm: dict[str, str] = field(default_factory=dict)
    against: dict[str, str] = field(default_factory=dict)
    head: str = "joint"
    in_epochs: bool = False
    study: str = "exp/study"


@dataclass
class RowSettings:
    """One row: either ``scored`` or ``studied``.

    Attributes:
        recipe: Folder of ``egs2`` whose run fills it.
        what: What is compared, in words.
        claim: The paper's figure.
        sign: What the claim says of the sign of our figure, one of ``SIGNS``.
        fill: Name of the command that fills it.
        stand_in: Whether the recipe stands in for the paper's corpus.
        scored: Where the figure is, if ``results.json`` has it.
        studied: Where it is, if a study has it.
    """

    recipe: str = MISSING
    what: str = MISSING
    claim: str = MISSING
    sign: str = "lower"
    fill: str = MISSING
    stand_in: bool = False
    scored: ScoredSettings | None = None
    studied: StudiedSettings | None = None


@dataclass
class TableSettings:
    """A table: its heading, what is to be known of it, and its rows."""

    title: str = MISSING
    note: str = ""
    rows: list[RowSettings] = field(default_factory=list)


@dataclass
class TablesConfig:
    """All tables, and what their rows name.

    Attributes:
        commands: Name -> command that fills a row, run in a recipe's ``tokenchain1``.
        sizes: Claim -> the least and the most that it says, as a fraction or in epochs, above 0; of claims with a size.
        tables: In the order of the page.
    """

    commands: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, list[float]] = field(default_factory=dict)
    tables: list[TableSettings] = field(default_factory=list)


def check_tables(config: TablesConfig) -> None:
    """Refuse what the types cannot say.

    Raises:
        ConfigError: A row has no source or two, an unknown sign, or an unknown command; a size is of no row's claim or
            not two ascending numbers above 0.
    """
    claims = {row.claim for table in config.tables for row in table.rows}
    for claim, size in config.sizes.items():
        if claim not in claims:
            raise ConfigError(f"sizes: {claim!r} is no row's claim; spell it as the row does, or remove it")
        if len(size) != 2 or not 0 < size[0] <= size[1]:
            raise ConfigError(f"sizes: {claim!r} has {size}; give the least and the most that it says, above 0")
    for row in (row for table in config.tables for row in table.rows):
        where = f"row {row.what!r} of {row.recipe}"
        if (row.scored is None) == (row.studied is None):
            raise ConfigError(f"{where}: give it either scored or studied")
        if row.sign not in SIGNS:
            raise ConfigError(f"{where}: sign={row.sign}; choose one of {', '.join(SIGNS)}")
        if row.fill not in config.commands:
            raise ConfigError(f"{where}: fill={row.fill}; commands has {', '.join(config.commands) or 'none'}")
