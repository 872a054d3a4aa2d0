"""Rules and code are found together in every way of installing: wheel, sdist, editable, and not at all."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

from lora_lint import __version__
from tests.checkout import ROOT, copy_checkout

INSTALLS = ("wheel", "sdist", "editable", "uninstalled")
BAD_ADAPTER = '{"peft_type": "LORA", "r": 16,\n "lora_alpha": 16, "target_modules": ["q_proj"]}\n'


class Built(NamedTuple):
    """A checkout and what was built from it."""

    checkout: Path
    wheel: Path
    sdist: Path


class Program(NamedTuple):
    """How lora-lint is started in one way of installing it, and where its package has to be then."""

    command: list[str]
    environment: dict[str, str]
    home: Path

    def __call__(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *arguments], env=self.environment, cwd=cwd, capture_output=True, text=True, check=False
        )


def succeed(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, env=clean(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def clean(**more: str) -> dict[str, str]:
    """The environment without what would point Python at another copy of the package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))}
    return {**kept, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    checkout = copy_checkout(folder / "checkout")
    dist = folder / "dist"
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", dist, checkout, cwd=folder)
    return Built(checkout, next(dist.glob("*.whl")), next(dist.glob("*.tar.gz")))


@pytest.fixture(scope="module", params=INSTALLS)
def program(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Program:
    if request.param == "uninstalled":
        return Program([sys.executable, "-m", "lora_lint"], clean(PYTHONPATH=str(built.checkout)), built.checkout)
    folder = tmp_path_factory.mktemp(request.param)
    python = environment_beside_this(folder / "env")
    what: dict[str, list[str | Path]] = {
        "wheel": [built.wheel],
        "sdist": [built.sdist],
        "editable": ["--editable", built.checkout],
    }
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    succeed(*pip, "--no-deps", "--no-build-isolation", "--ignore-installed", *what[request.param], cwd=folder)
    home = built.checkout if request.param == "editable" else folder / "env"
    return Program([str(python.parent / "lora-lint")], clean(), home)


def environment_beside_this(folder: Path) -> Path:
    """The Python of a new environment that sees the dependencies of this one, but not its lora-lint."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    seen = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in seen), "utf-8")
    return folder / "bin" / "python"


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def pages_in(root: Path) -> Iterator[str]:
    return (page.relative_to(root).as_posix() for page in (root / "rules").glob("*/*.md"))


def test_the_wheel_holds_every_page_inside_the_package(built: Built) -> None:
    wanted = {f"lora_lint/{page}" for page in pages_in(ROOT)}
    assert wanted
    assert {name for name in files_in(built.wheel) if name.endswith(".md")} == wanted


def test_the_wheel_holds_the_template_of_the_report(built: Built) -> None:
    assert {f"lora_lint/audit/report/page.{kind}" for kind in ("html", "css", "js")} <= files_in(built.wheel)


def test_the_wheel_takes_no_import_name_but_its_own(built: Built) -> None:
    tops = {name.partition("/")[0] for name in files_in(built.wheel)}
    assert tops == {"lora_lint", f"lora_lint-{__version__}.dist-info"}


def test_the_wheel_says_that_it_is_typed(built: Built) -> None:
    assert "lora_lint/py.typed" in files_in(built.wheel)


@pytest.mark.parametrize("heavy", ["torch", "numpy", "safetensors", "ray", "transformers", "peft"])
def test_nothing_heavy_is_required(built: Built, heavy: str) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        text = archive.read(f"lora_lint-{__version__}.dist-info/METADATA").decode()
    required = [one for one in Parser().parsestr(text).get_all("Requires-Dist", []) if "extra ==" not in one]
    assert required
    assert not [one for one in required if one.startswith(heavy)]


@pytest.mark.parametrize("path", ["pyproject.toml", "rules", "tests", "examples", "action.yml", ".ci/run"])
def test_the_sdist_holds_what_a_change_needs(built: Built, path: str) -> None:
    with tarfile.open(built.sdist) as archive:
        names = archive.getnames()
    top = f"lora_lint-{__version__}"
    assert any(name == f"{top}/{path}" or name.startswith(f"{top}/{path}/") for name in names)


def test_check_finds_a_bad_adapter_config(program: Program, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(BAD_ADAPTER, "utf-8")
    done = program("check", "adapter_config.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "adapter_config.json:2:16: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32" in done.stdout


def test_explain_prints_the_page(program: Program, tmp_path: Path) -> None:
    done = program("explain", "alpha-not-2r", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "## Bad" in done.stdout


def test_rules_lists_every_page(program: Program, tmp_path: Path) -> None:
    listed = {line.split()[0] for line in program("rules", cwd=tmp_path).stdout.splitlines()[1:]}
    assert listed == {Path(page).stem for page in pages_in(ROOT)}


def test_the_version_is_the_one_in_pyproject(program: Program, built: Built, tmp_path: Path) -> None:
    assert f"lora_lint-{__version__}-" in built.wheel.name
    assert program("--version", cwd=tmp_path).stdout == f"lora-lint {__version__}\n"


def test_the_code_that_runs_is_the_installed_one(program: Program, tmp_path: Path) -> None:
    python = [str(Path(program.command[0]).parent / "python")] if len(program.command) == 1 else program.command[:1]
    shown = "import lora_lint, lora_lint.catalogue as c; print(lora_lint.__file__, c.root(), sep='\\n')"
    done = program._replace(command=[*python, "-c", shown])(cwd=tmp_path)
    assert all(Path(line).is_relative_to(program.home) for line in done.stdout.splitlines()), done.stdout + done.stderr
