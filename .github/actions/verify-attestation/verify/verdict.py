"""What a run comes to. Only `report.judge` makes a verdict with exit code 0, which says verified."""

from dataclasses import dataclass, field

# The exit codes that are failures, in words.
MEANINGS = {
    1: "not what was expected",
    2: "an input cannot be used",
    3: "malformed",
    4: "certificate chain or signature",
    5: "time",
    6: "debug mode",
    7: "fetch failed",
}


@dataclass(frozen=True)
class Verdict:
    """What is published: `failures` as a report lists them, `report` if it can be relied on, `raw`
    as it was printed, and what was checked before use."""

    exit_code: int
    failures: list
    report: dict | None = None
    raw: bytes = b""
    pinned: dict = field(default_factory=dict)

    @property
    def verified(self):
        return self.exit_code == 0


class Stop(Exception):
    """Nothing was verified: the exit code, why, and what to do."""

    def __init__(self, exit_code, message, remedy):
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.remedy = remedy

    def verdict(self, pinned):
        failure = {"code": "", "message": self.message, "remedy": self.remedy}
        return Verdict(self.exit_code, [failure], pinned=pinned)


def unusable(message, remedy):
    """An input that cannot be used, or is not as pinned; nothing was run."""
    return Stop(2, message, remedy)


def contradiction(message):
    """The command's exit code, its output and what it was asked do not fit together."""
    remedy = "Nothing is verified. See that this action and the binary are of one release; then report it."
    return Stop(3, message, remedy)
