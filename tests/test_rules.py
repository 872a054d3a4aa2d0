"""Every rule page is its test: what it calls bad is found, and nothing else; what it calls good is silent."""

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import pytest
import yaml

from lora_lint.catalogue import load_rules, root
from lora_lint.document import Problem
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic
from lora_lint.fix import edited
from lora_lint.linter import Linter, lint, read_setups
from tests.pages import Example, Page, pages

PAGES = pages()
EXAMPLES = [example for page in PAGES for example in page.examples]

SECTIONS = ["Bad", "Good", "How to fix", "When to ignore", "Options"]
KEYS = {"title", "severity", "since", "fix", "instead-of", "when", "aliases", "sources", "examples"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.bad], ids=str)
def test_what_a_page_calls_bad_is_found_at_its_line_and_nothing_else(example: Example, tmp_path: Path) -> None:
    folder = example.write(tmp_path)
    report = lint([str(folder)], example.settings(), select=[example.rule], since=example.since)
    announced = example.expected
    assert announced, "a bad example announces what is found"
    surprising = []
    for diagnostic in (*report.diagnostics, *_of_values(example, folder, [example.rule])):
        fitting = next((one for one in announced if one.fits(diagnostic)), None)
        if fitting is None:
            surprising.append(_line(diagnostic))
        else:
            announced.remove(fitting)
    assert not report.failures
    assert (surprising, announced) == ([], [])


@pytest.mark.parametrize("example", [one for one in EXAMPLES if not one.bad], ids=str)
def test_what_a_page_calls_good_is_silent_under_all_rules(example: Example, tmp_path: Path) -> None:
    folder = example.write(tmp_path)
    report = lint([str(folder)], example.settings(), since=example.since)
    assert not report.failures
    found = (*report.diagnostics, *_of_values(example, folder, None))
    assert [_line(diagnostic) for diagnostic in found] == []
    assert not example.expected, "a good example announces nothing"


def _of_values(example: Example, folder: Path, select: list[str] | None) -> Iterator[Diagnostic]:
    """What the rules about values find in the tensors of an example; in `base` and `merged` beside them, if there."""
    if load_rules()[example.rule].family != "tensors":
        return
    from lora_lint.cli.verify import checkpoint_setup
    from lora_lint.reference import Weights, verify
    from lora_lint.reference.claims import claims

    setup, _ = checkpoint_setup(str(folder))
    base, merged = (Weights.open(folder / name) if (folder / name).is_dir() else None for name in ("base", "merged"))
    linter = Linter(example.settings(), select)
    how: dict[str, Any] = {"spectrum": True, "expect": example.expect, "linter": linter, "setup": setup}
    for verdict in verify(claims(setup, folder), base=base, merged=merged, **how):
        yield from verdict.diagnostics


@pytest.mark.parametrize("page", [page for page in PAGES if "fix" in page.data], ids=lambda page: page.name)
def test_a_fix_that_a_page_promises_is_offered_and_takes_its_finding_away(page: Page, tmp_path: Path) -> None:
    fixed = 0
    for at, example in enumerate(one for one in page.examples if one.bad):
        folder = example.write(tmp_path / str(at))
        for diagnostic in lint([str(folder)], example.settings(), select=[page.name], since=example.since).diagnostics:
            if diagnostic.suggestion is not None:
                assert diagnostic.suggestion.safety == page.data["fix"]
                file = Path(diagnostic.file)
                before = file.read_text("utf-8")
                file.write_text(edited(before, diagnostic.suggestion.edits), "utf-8")
                left = lint([str(folder)], example.settings(), select=[page.name], since=example.since).diagnostics
                assert diagnostic.message not in [one.message for one in left]
                file.write_text(before, "utf-8")
                fixed += 1
    assert fixed


def test_a_rule_about_words_is_run_on_setups() -> None:
    assert [rule.name for rule in load_rules().values() if rule.when and rule.parameters[0] is not Setup] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_framework_that_a_fence_names_is_recognised(example: Example, tmp_path: Path) -> None:
    if example.bad and load_rules()[example.rule].parameters[0] is Problem:
        pytest.skip("can't be read, which is the point")
    setups = read_setups([str(example.write(tmp_path))], example.settings())
    assert {setup.framework for setup in setups} == example.frameworks


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            '{"peft_type": "LORA", "r": 8, "rank_pattern": {"q_proj": 32}}',
            ["alpha-missing-or-invalid", "pattern-ratio-drift"],
        ),
        ('LoraConfig(r=8, rank_pattern={"q_proj": 32})', ["alpha-left-at-default", "pattern-ratio-drift"]),
        ('LoraConfig(r=16, lora_alpha=8, use_rslora=True, rank_pattern={"q_proj": 64})', ["pattern-ratio-drift"]),
        ("LoraConfig(r=0, lora_alpha=0)", ["out-of-range"]),
        ("LoraConfig(r=16, lora_alpha=0)", ["alpha-missing-or-invalid"]),
    ],
)
def test_one_cause_is_told_by_one_rule(config: str, told: list[str], tmp_path: Path) -> None:
    file = tmp_path / ("adapter_config.json" if config.startswith("{") else "train.py")
    file.write_text(config if file.suffix == ".json" else f"from peft import LoraConfig\nconfig = {config}\n", "utf-8")
    families = ["scaling", "schema"]
    assert sorted(one.rule for one in lint([str(file)], select=families).diagnostics) == told


def _line(diagnostic: Diagnostic) -> str:
    place = diagnostic.tensor or diagnostic.range.start.line
    return f"{Path(diagnostic.file).name}:{place}: {diagnostic.severity}: {diagnostic.message} [{diagnostic.rule}]"


@each_page
def test_a_page_shows_both_sides(page: Page) -> None:
    shown = {example.bad for example in page.examples}
    assert shown == (set() if page.data.get("examples") == "none" else {True, False})


@each_page
def test_front_matter_is_what_yaml_makes_of_it(page: Page) -> None:
    assert page.data == yaml.safe_load(page.head)


@each_page
def test_front_matter_has_known_keys_and_says_only_what_is_so(page: Page) -> None:
    assert page.data.keys() <= KEYS
    assert None not in page.data.values()


@each_page
def test_a_page_has_a_function(page: Page) -> None:
    assert load_rules()[page.name].check.__name__ == page.name.replace("-", "_")


def test_a_function_has_a_page() -> None:
    checks = root().parent / "lora_lint" / "checks"
    paths = [path.relative_to(checks).with_suffix("") for path in checks.glob("**/[!_]*.py")]
    modules = [import_module(".".join(("lora_lint.checks", *path.parts))) for path in sorted(paths)]
    functions = {
        f"{module.__name__.split('.')[2]}/{name.replace('_', '-')}"
        for module in modules
        for name, function in getmembers(module, isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert functions == {f"{page.path.parent.name}/{page.name}" for page in PAGES}


@each_page
def test_a_name_is_a_few_plain_words(page: Page) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+){1,5}", page.name)


@each_page
def test_a_title_is_a_lower_case_sentence_without_full_stop(page: Page) -> None:
    assert re.fullmatch(r"[a-z][^.!?:#]{8,70}[^.!?:# ]", page.data["title"])


@each_page
def test_the_first_paragraph_explains_in_a_line_or_two(page: Page) -> None:
    assert re.fullmatch(r"[A-Z].+\.", page.introduction)
    assert len(page.introduction) < 200
    assert len(re.findall(r"[.!?](?: |$)", page.introduction)) <= 2


@each_page
def test_the_sections_are_the_usual_ones_in_their_order(page: Page) -> None:
    assert [heading for heading in SECTIONS if heading in page.sections] == list(page.sections)


@each_page
def test_options_are_explained_where_there_are_any(page: Page) -> None:
    options = load_rules()[page.name].options
    assert ("Options" in page.sections) == bool(options)
    assert all(f"`{name.replace('_', '-')}`" in page.sections["Options"] for name in options)


@each_page
def test_rules_that_are_replaced_exist(page: Page) -> None:
    assert set(page.data.get("instead-of", [])) <= load_rules().keys() - {page.name}


@each_page
def test_sources_are_links_that_are_named_once(page: Page) -> None:
    sources = page.data.get("sources", [])
    assert all(re.fullmatch(r"https://[\w.-]+/\S+", source) for source in sources)
    assert len(set(sources)) == len(sources)


@each_page
def test_a_page_is_short_and_its_lines_are_too(page: Page) -> None:
    lines = page.path.read_text("utf-8").splitlines()
    assert len(lines) <= 100
    assert all(len(line) <= 120 or line.startswith("  - https://") for line in lines)
