"""HTML of the Models tab; the templates escape every text."""

from ui.catalogue.rendering import render
from ui.catalogue.weights import Computer, StarterSet, WeightsRow


def computer_html(computer: Computer, starter: StarterSet) -> str:
    """Return what this computer has and uses, and what of the starter set is missing."""
    return render("computer.html.j2", computer=computer, starter=starter)


def rows_html(rows: list[WeightsRow], focus: str = "") -> str:
    """Return the weights as a table; the row of `focus` is marked."""
    return render("weights.html.j2", rows=rows, focus=focus)


def question_html(rows: list[WeightsRow], action: str) -> str:
    """Return what a person has to decide before weights are fetched, with those that they need, or removed."""
    return render("question.html.j2", rows=rows, action=action)


def starter_question_html(starter: StarterSet) -> str:
    """Return what a person has to decide before the starter set is fetched and chosen."""
    return render("starter.html.j2", starter=starter)
