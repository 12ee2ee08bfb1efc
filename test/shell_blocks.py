"""The commands that a Markdown document shows, for the tests that hold documents to what they say."""

import re
import shlex

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
# What a command in running text begins with; the rest of it is words, not a path alone.
BEGINNING = re.compile(r"([A-Z_]+=\S+ )*(make|python3?|pip|\./\w+\.sh|\.ci/run|tools/\w+\.sh|egs2/\S+\.sh)( |$)")


def shell_blocks(path):
    """The ``sh`` blocks of a document, each as it stands."""
    return [block for kind, block in FENCED.findall(path.read_text(encoding="utf-8")) if kind == "sh"]


def shell_commands(block):
    """The lines of a block as commands, without comments, continued lines joined."""
    lines = block.replace("\\\n", " ").splitlines()
    commands = (shlex.join(shlex.split(line, comments=True)) for line in lines)
    return [command for command in commands if command]


def shell_spans(path):
    """The commands that stand in a document's running text, between backquotes."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    return [span for span in spans if BEGINNING.match(span)]
