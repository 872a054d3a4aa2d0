"""Launch scripts of Windows: PowerShell and batch files, held against what the same commands say in a shell."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lora_lint.linter import lint
from tests.test_embedded import assert_inside, assert_nothing_soon, facts

TRAIN = "python llava\\train\\train.py --lora_enable True"

POWERSHELL: Mapping[str, tuple[str, tuple[object, object]]] = {
    "plain flags": (f"{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "no line end": (f"{TRAIN} --lora_r 8 --lora_alpha 16", (8, 16)),
    "continued": (f"{TRAIN} `\n  --lora_r 8 `\r\n  --lora_alpha 16\n", (8, 16)),
    "a variable": (f"$r = 8 # rank\n$Alpha=16\n{TRAIN} --lora_r $r --lora_alpha $alpha\n", (8, 16)),
    "a cast": (f"[int]$r = 8\n[string]$a = '16'\n{TRAIN} --lora_r $r --lora_alpha $a\n", (8, 16)),
    "braces": (f'$r = 8\n{TRAIN} --lora_r=${{r}} --lora_alpha="$(16)"\n', (8, None)),
    "an equals sign": (f'$r = 8\n{TRAIN} --lora_r=$r --lora_alpha="16"\n', (8, 16)),
    "in a string": (f'$r = 8\n{TRAIN} "--lora_r=$r" "--lora_alpha=$($r)"\n', (8, 8)),
    "the environment": (f"$Env:RANK = 8\n{TRAIN} --lora_r $env:RANK --lora_alpha 16\n", (8, 16)),
    "a product": (f"$r = 8\n$a = $r * 2\n{TRAIN} --lora_r $r --lora_alpha $a\n", (8, 16)),
    "a sum of strings": (f'$r = 8\n$a = "1" + "6"\n{TRAIN} ("--lora_r=" + $r) --lora_r $r --lora_alpha $a\n', (8, 16)),
    "a list": (f'$more = @("--lora_r", "8",\n  "--lora_alpha", 16)\n{TRAIN} $more\n', (8, 16)),
    "splatted": (f'$more = "--lora_r", 8, "--lora_alpha", 16\n{TRAIN} @more\n', (8, 16)),
    "added to": (f"$m = @()\n$m += '--lora_r', '8'\n$m += '--lora_alpha=16'\n{TRAIN} $m\n", (8, 16)),
    "an ArrayList": (
        '$m = [System.Collections.ArrayList]::new()\n$r = 8\n[void]$m.Add("--lora_r=$r")\n'
        f'$null = $m.Add("--lora_alpha=" + 16)\n{TRAIN} $m\n',
        (8, 16),
    ),
    "called": ("& 'C:\\py\\python.exe' llava/train/train.py --lora_enable True --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "through a variable": (
        f'$py = ".\\venv\\Scripts\\python.exe"\n& $py {TRAIN.removeprefix("python ")} --lora_r 8 --lora_alpha 16\n',
        (8, 16),
    ),
    "run as text": (
        f'$c = "{TRAIN} --lora_r 8 --lora_alpha 16".Trim()\niex "{TRAIN} --lora_r 8 --lora_alpha 16"\n',
        (8, 16),
    ),
    "in a function": (f"function Train($x) {{\n  {TRAIN} --lora_r 8 --lora_alpha 16\n}}\nTrain 1\n", (8, 16)),
    "tried": (f"try {{ {TRAIN} --lora_r 8 --lora_alpha 16 }} catch {{ Write-Host 'no' }}\n", (8, 16)),
    "comments": (f"<# {TRAIN} --lora_r 1\n#>\n# {TRAIN} --lora_r 2\n{TRAIN} --lora_r 8 --lora_alpha 16 # 3\n", (8, 16)),
    "a default": (f"param([int]$r = 8, [string]$a = '16')\n{TRAIN} --lora_r $r --lora_alpha $a\n", (8, 16)),
    "a default where it is empty": (f"if (-not $r) {{ $r = 8 }}\n{TRAIN} --lora_r $r --lora_alpha 16\n", (8, 16)),
    "a here-string": (f'$c = @"\n{TRAIN} --lora_r 1\n"@\n{TRAIN} --lora_r 8 --lora_alpha 16\n', (8, 16)),
    "after a shell's own word": (f"dir | select -First 1\ntime\n{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "text added to": (f'$a = "1"\n$a += "6"\n{TRAIN} --lora_r 8 --lora_alpha $a\n', (8, 16)),
    "after a cmdlet": (
        f'Write-Host "{TRAIN} --lora_r 1"; Set-Location x; {TRAIN} --lora_r 8 --lora_alpha 16\n',
        (8, 16),
    ),
}
"""In `braces` a subexpression that isn't a variable is left unknown."""


@pytest.mark.parametrize(("text", "values"), POWERSHELL.values(), ids=POWERSHELL)
def test_powershell(text: str, values: tuple[object, object]) -> None:
    (found,) = facts("train.ps1", text)
    if values[1] is None:
        assert (found[0], isinstance(found[1], str)) == (values[0], True)
    else:
        assert found == values


@pytest.mark.parametrize(
    "lines",
    [
        "if ($x) { $r = 8 } else { $r = 16 }",
        "if ($x) {\n  $r = 8\n}\n# or\nelseif ($y) { $r = 4 }",
        "foreach ($r in 8, 16) { }",
        "switch ($x) { 'a' { $r = 8 } default { $r = 16 } }",
        "while ($x) { $r = 8 }",
        "do { $r = 8 } while ($x)",
        "$r = Get-Content rank.txt",
        "$r = $x ? 8 : 16",
        "$r = $table.rank",
        "$r = 8\n$r /= 2",
        "$r = 8\n$r += 2",
        "$r = 8\n$r++",
        "$r = 4\n$r, $a = 8, 16",
        "$r = 4\n$r = $x = 8",
        "$r = if ($x) { 8 } else { 16 }",
        "$r = $x -eq 1",
        "$r = 4\nSet-Variable -Name r -Value 8",
        "$r = '{0}' -f 8",
        "$r = 16 / 2",
        "$Env:R = 8\n$Env:R /= 2\n$r = $env:r",
        "$r = 8\ntry { $r = 16 } catch { $r = 4 }",
    ],
)
def test_what_powershell_decides_when_it_runs_is_unknown(lines: str) -> None:
    assert_unknown("train.ps1", f"{lines}\n{TRAIN} --lora_r $r --lora_alpha 16\n")


def assert_unknown(name: str, text: str) -> None:
    """That the rank isn't known, beside an alpha of 16."""
    ((rank, alpha),) = facts(name, text)
    assert isinstance(rank, str), rank
    assert alpha == 16


BATCH: Mapping[str, tuple[str, tuple[object, object]]] = {
    "plain flags": (f"@echo off\n{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "continued": (f"{TRAIN} ^\r\n  --lora_r 8 ^\r\n  --lora_alpha 16\r\npause\r\n", (8, 16)),
    "variables": (f'set R=8\r\nset "alpha=16"\r\n{TRAIN} --lora_r %r% --lora_alpha %ALPHA%\r\n', (8, 16)),
    "arithmetic": (f"set r=8\nset /a a=%r%*2\n{TRAIN} --lora_r %r% --lora_alpha %a%\n", (8, 16)),
    "late": (f"setlocal EnableDelayedExpansion\nset r=8\n{TRAIN} --lora_r !r! --lora_alpha 16\n", (8, 16)),
    "quotes": (f'set r=8\n{TRAIN} --lora_r "%r%" --lora_alpha=16 --output_dir "D:\\a b\\"\n', (8, 16)),
    "called": (f"call venv\\Scripts\\activate.bat && call {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "by its path": (
        f'"%~dp0venv\\Scripts\\python.exe" {TRAIN.removeprefix("python ")} --lora_r 8 --lora_alpha 16\n',
        (8, 16),
    ),
    "started": (f'start "LoRA" /wait {TRAIN} --lora_r 8 --lora_alpha 16\n', (8, 16)),
    "comments": (f"rem {TRAIN} --lora_r 1\n:: {TRAIN} --lora_r 2\n{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "in brackets": (f"if exist x (\n  {TRAIN} --lora_r 8 --lora_alpha 16\n) else (\n  echo no\n)\n", (8, 16)),
    "in one line": (f"if exist x {TRAIN} --lora_r 8 --lora_alpha 16\necho done\n", (8, 16)),
    "a default where it isn't defined": (f"if not defined R set R=8\n{TRAIN} --lora_r %R% --lora_alpha 16\n", (8, 16)),
    "a default where it is empty": (f'if "%R%"=="" (\n set R=8\n)\n{TRAIN} --lora_r %R% --lora_alpha 16\n', (8, 16)),
    "after a shell's own word": (f"time /t\nif\n{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "quotes within quotes": (
        f'if not "!t!"=="" ( set "c=--a "!t!"" ) else ( set "c=" )\n{TRAIN} !c! --lora_r 8 --lora_alpha 16\n',
        (8, 16),
    ),
    "labels": (f":train\n{TRAIN} --lora_r 8 --lora_alpha 16\ngoto :eof\n", (8, 16)),
}


@pytest.mark.parametrize(("text", "values"), BATCH.values(), ids=BATCH)
@pytest.mark.parametrize("name", ["train.bat", "TRAIN.CMD"])
def test_batch(text: str, values: tuple[object, object], name: str) -> None:
    assert facts(name, text) == [values]


@pytest.mark.parametrize(
    "lines",
    [
        'if "%x%"=="1" (\n set r=8\n) else (\n set r=16\n)',
        'if "%x%"=="1" (set r=8) else (set r=16)',
        "if exist x set r=8",
        "for %%i in (8 16) do set r=%%i",
        "set /p r=Rank:",
        "set r=8\nset /a r*=2",
        "set /a r=8, a=16",
        "set x=88\nset r=%x:~0,1%",
        "set x=88\nset r=!x:8=!",
        'set r=8\n:parse\nif "%~1"=="--r" ( set "r=%~2" & shift & goto parse )',
    ],
)
def test_what_a_batch_file_decides_when_it_runs_is_unknown(lines: str) -> None:
    assert_unknown("train.bat", f"{lines}\n{TRAIN} --lora_r %r% --lora_alpha 16\n")


def test_what_is_unknown_is_not_taken_for_the_same() -> None:
    (found,) = facts("x.bat", f"set r=%~dp0\nset a=%~dp1\n{TRAIN} --lora_r %r% --lora_alpha %a%\n")
    assert [type(one) for one in found] == [str, str]


@pytest.mark.parametrize("block", ["powershell", "pwsh", "ps1"])
def test_a_block_of_markdown(block: str) -> None:
    assert facts("README.md", f"```{block}\n{TRAIN} `\n --lora_r 8 `\n --lora_alpha 16\n```\n") == [(8, 16)]
    assert facts("README.md", f"```shell\n{TRAIN} `\n --lora_r 8 `\n --lora_alpha 16\n```\n") == [(8, 16)]
    assert facts("README.md", f"```sh\n{TRAIN} ^\n --lora_r 8 ^\n --lora_alpha 16\n```\n") == [(8, 16)]
    assert facts("README.md", f"```bat\n{TRAIN} ^\n --lora_r 8 ^\n --lora_alpha 16\n```\n") == [(8, 16)]


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("x.ps1", f"$r = 8\n{TRAIN} `\n  --lora_r $r `\n  --lora_alpha 8\n", 4, 16),
        ("x.ps1", f'$more = @("--lora_r=8",\n  "--lora_alpha=8")\n{TRAIN} @more\n', 2, 17),
        ("x.bat", f"@rem\r\n{TRAIN} ^\r\n  --lora_r 8 ^\r\n  --lora_alpha 8\r\n", 4, 16),
    ],
)
def test_a_finding_points_at_the_value(name: str, text: str, line: int, column: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode())
    (found,) = [one for one in lint([str(tmp_path)]).diagnostics if one.rule == "alpha-not-2r"]
    assert (found.range.start.line, found.range.start.column) == (line, column)


@pytest.mark.parametrize(
    ("name", "comment"),
    [
        ("x.ps1", "# lora-lint: ignore[alpha-not-2r]"),
        ("x.bat", "rem lora-lint: ignore[alpha-not-2r]"),
        ("x.bat", "REM lora-lint: ignore-file[alpha-not-2r]"),
        ("x.bat", ":: lora-lint: ignore[alpha-not-2r]"),
    ],
)
def test_a_comment_silences(name: str, comment: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"{comment}\n{TRAIN} --lora_r 8 --lora_alpha 8\n", "utf-8")
    assert lint([str(tmp_path)]).diagnostics == []


@pytest.mark.parametrize(("name", "texts"), [("x.ps1", POWERSHELL), ("x.bat", BATCH)])
def test_a_place_is_never_outside_of_the_file(name: str, texts: Mapping[str, tuple[str, object]]) -> None:
    for text, _ in texts.values():
        assert_inside(name, text)


MANY = 50_000
HOSTILE: Mapping[str, tuple[str, str]] = {
    "brackets": ("x.ps1", "lora_alpha " + "(" * MANY),
    "braces": ("x.ps1", "lora_alpha\n" + "{" * MANY),
    "closing": ("x.ps1", "lora_alpha\n" + "})" * MANY),
    "conditions": ("x.ps1", "lora_alpha\n" + "if (1) {" * MANY),
    "arms": ("x.ps1", "lora_alpha\nif (1) {}" + " elseif (1) {}" * MANY),
    "lists": ("x.ps1", "$lora_alpha = " + "@(" * MANY),
    "elements": ("x.ps1", "$lora_alpha = @(" + "1," * MANY),
    "terms": ("x.ps1", "$lora_alpha = '1'" + " + '1'" * MANY),
    "strings": ("x.ps1", "lora_alpha " + '"' * (2 * MANY + 1)),
    "variables": ("x.ps1", "lora_alpha " + "$a" * MANY),
    "switches": ("x.ps1", "lora_alpha\n" + "switch (1) {" * MANY),
    "comments": ("x.ps1", "lora_alpha\nif (1) {}\n" + "#\n" * MANY),
    "breaks": ("x.ps1", "lora_alpha " + "`\n" * MANY),
    "percents": ("x.bat", "lora_alpha " + "%" * MANY),
    "blocks": ("x.bat", "lora_alpha\n" + "if exist x (\n" * MANY),
    "one-liners": ("x.bat", "lora_alpha\n" + "if exist x " * 5_000),
    "loops": ("x.bat", "lora_alpha\n" + "for %%i in (1) do " * 5_000),
    "carets": ("x.bat", "lora_alpha " + "^\n" * MANY),
    "connectors": ("x.bat", "lora_alpha " + "& a " * MANY),
    "values": ("x.bat", "set lora_alpha=" + "x&" * MANY),
}


@pytest.mark.parametrize(("name", "text"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_scripts_end_in_bounded_time(name: str, text: str) -> None:
    assert_nothing_soon(name, text)
