"""Templates of the page's HTML: each room has its own; every text is escaped."""

from collections.abc import Callable, Mapping
from functools import cached_property

from jinja2 import Environment, PackageLoader, StrictUndefined


class Templates:
    """The templates of a package, in its folder `templates`; read at first use.

    Args:
        package: Name of the package, such as "ui.plans".
        filters: Filters of the templates by name.
    """

    def __init__(self, package: str, filters: Mapping[str, Callable[..., object]] | None = None) -> None:
        self._package, self._filters = package, dict(filters or {})

    def render(self, template: str, **context: object) -> str:
        """Return the HTML that a template makes.

        Args:
            template: Name of its file.
            context: Its variables; one that is missing is an error.
        """
        return self._environment.get_template(template).render(context)

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=PackageLoader(self._package),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= self._filters
        return environment
