"""The commands that look at a model: verify, info."""

import logging
import sys

from edge_potion.errors import EdgePotionError
from edge_potion.escaping import terminal
from edge_potion.find import BUILT_IN

from .options import (
    ModelArgument,
    ProviderOption,
    refuse_closed_stdout,
)
from .show import print_bundle, print_other

__all__ = ["info", "verify"]

log = logging.getLogger("edge_potion")

VERDICTS = {True: "ok", False: "FAILED", None: "-"}


def verify(
    model: ModelArgument = BUILT_IN,
    provider: ProviderOption = "cpu",
) -> None:
    """Check a bundle's files, and whether this machine computes what it should: the first thing to run on a new device.

    Replays golden.json through every graph and precision, and through the .ort files of mobile/ on the CPU, and asks of
    each vector its direction and its length. One line each; exit code 1 where one strays.

    Example: edge-potion verify my-bundle --provider openvino
    """
    from edge_potion.find import find_folder
    from edge_potion.replay import verify as replay

    failed = False
    for verdict in replay(find_folder(model), provider):
        failed |= verdict.passed is False
        print(f"{VERDICTS[verdict.passed]:6}  {verdict.what:20}  {terminal(verdict.message)}", flush=True)
    sys.exit(failed)


def info(
    model: ModelArgument = BUILT_IN,
) -> None:
    """Show what a bundle or a model folder holds, what it says of itself, and which providers this machine offers.

    Example: edge-potion info my-bundle
    """
    from edge_potion import __version__, providers
    from edge_potion.bundle import is_bundle, open_bundle
    from edge_potion.find import find_folder

    refuse_closed_stdout()
    folder = find_folder(model)
    if is_bundle(folder):
        print_bundle(open_bundle(folder))
    else:
        print_other(folder)
    try:
        offered = ", ".join(providers.available())
    except EdgePotionError as error:
        offered = str(error)
    print(f"providers here: {offered}")
    print(f"edge-potion {__version__}")
