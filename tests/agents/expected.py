"""Expected plans of the benchmarks' requests, as the product has plans."""

from agents.plan.plan import Step


def plain(value: object) -> object:
    """Return an expected argument without its marks: "~" before free text, {"in order": …} around a list."""
    if isinstance(value, dict):
        return value["in order"]
    return value.removeprefix("~") if isinstance(value, str) else value


def steps_of(plan: list[tuple[str, dict[str, object] | None]]) -> tuple[Step, ...]:
    """Return the steps of an expected plan; arguments that must be left out ("") are."""
    return tuple(
        Step.model_validate(
            {
                "id": f"s{number}",
                "tool": tool,
                "args": {name: plain(value) for name, value in (args or {}).items() if value != ""},
            }
        )
        for number, (tool, args) in enumerate(plan, 1)
    )
