"""The templates of the pages, and how values look in them."""

from typing import TYPE_CHECKING

from tokenchain_toolkit.report.results import format_change, format_rate, is_error_rate, metric_name

if TYPE_CHECKING:
    from jinja2 import Environment


def page_templates() -> "Environment":
    """The package's templates; HTML escapes every value, and a name that a template lacks is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(
        loader=PackageLoader("tokenchain_toolkit.report"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "rate": format_rate,
        "change": format_change,
        "metric": metric_name,
        "cell": lambda text: str(text).replace("|", "\\|"),
        "duration": _duration,
    }
    templates.tests["error_rate"] = is_error_rate
    return templates


def _duration(seconds: float) -> str:
    """Seconds as ``12.3 s`` or ``4 min 05 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
