"""The commands that a Markdown document shows, for the tests that hold documents to what they say."""

import re
import shlex


def shell_blocks(path):
    """The ``sh`` blocks of a document, each as it stands."""
    return re.findall(r"^```sh\n(.*?)^```$", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shell_commands(path):
    """The lines of all its ``sh`` blocks as commands, without comments, continued lines joined."""
    lines = "\n".join(shell_blocks(path)).replace("\\\n", " ").splitlines()
    commands = (shlex.join(shlex.split(line, comments=True)) for line in lines)
    return [command for command in commands if command]
