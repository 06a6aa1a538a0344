"""Why a load test cannot be run; each text is one sentence that says what was wrong, expected and received."""


class LoadTestError(Exception):
    """The load test could not be run."""


class UsageError(LoadTestError):
    """What was asked for makes no sense, or a file that was named is broken."""


class TargetError(LoadTestError):
    """The server or the model cannot be load-tested."""
