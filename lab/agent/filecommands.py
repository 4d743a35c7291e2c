"""What a step writes into the files that the runner gives it: GITHUB_ENV, GITHUB_OUTPUT, GITHUB_PATH, GITHUB_STEP_SUMMARY."""

import uuid
from pathlib import Path

NAMES = {
    "GITHUB_ENV": "set_env",
    "GITHUB_OUTPUT": "set_output",
    "GITHUB_PATH": "add_path",
    "GITHUB_STEP_SUMMARY": "step_summary",
}
MOST_SUMMARY = 1024 * 1024


class BadCommand(ValueError):
    """A file that the runner cannot read: it fails the step."""


def pairs(text: str) -> dict[str, str]:
    """`KEY=value` lines and `KEY<<END` blocks. Raises BadCommand for any other line."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        key, block, end = line.partition("<<")
        if block and "=" not in key:
            body = []
            for inner in lines:
                if inner == end:
                    break
                body.append(inner)
            else:
                raise BadCommand(f"Invalid value. Matching delimiter not found '{end}'")
            found[key] = "\n".join(body)
        else:
            key, equals, value = line.partition("=")
            if not equals or not key:
                raise BadCommand(f"Invalid format '{line}'")
            found[key] = value
    return found


class Files:
    """Those of one step, empty at its start."""

    def __init__(self, directory: Path) -> None:
        mark = uuid.uuid4()
        self.paths = {variable: directory / f"{name}_{mark}" for variable, name in NAMES.items()}
        for path in self.paths.values():
            path.touch()

    def environment(self) -> dict[str, str]:
        return {variable: str(path) for variable, path in self.paths.items()}

    def text(self, variable: str) -> str:
        """A step may have removed its file."""
        try:
            return self.paths[variable].read_text("utf-8", "replace")
        except OSError:
            return ""

    def given(self, variable: str) -> dict[str, str]:
        """Raises BadCommand, in the runner's own words."""
        try:
            return pairs(self.text(variable))
        except BadCommand as wrong:
            name = "env" if variable == "GITHUB_ENV" else "output"
            raise BadCommand(f"Unable to process file command '{name}' successfully. {wrong}") from None
