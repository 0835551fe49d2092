"""The Hugging Face hub: what of it is on this computer, and fetching what is not."""

import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path

from .quiet import brief

Notify = Callable[[str], None]

REACH_SECONDS = 5.0


def cached_file(repository: str, name: str) -> Path | None:
    """Find a file of a repository in the hub's own cache, without importing the hub's library."""
    folder = _hub_cache() / ("models--" + repository.replace("/", "--"))
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    path = folder / "snapshots" / revision / name
    return path if os.path.isfile(path) else None  # noqa: PTH113  (Path.is_file may raise)


def cached_repositories() -> list[str]:
    """Name the repositories of models that the hub's cache has something of."""
    folders = sorted(_hub_cache().glob("models--*--*"))
    return [folder.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]


def _hub_cache() -> Path:
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def fetch_first(repository: str, names: tuple[str, ...]) -> Path:
    """Fetch the first of these files that the repository has; OSError says why there is none."""
    if not hub_reachable():
        raise OSError(_why_unreachable())
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repository, name, library_name="sightline"))
        except LocalEntryNotFoundError as error:  # the hub was not heard, and may have the file
            if _says_not_found(error):
                continue
            raise OSError(f"the hub did not answer for {name} of {repository}; try again later") from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # the hub's library passes its transport's own errors on
            raise OSError(f"{repository}: {brief(error)}") from error
    raise OSError(f"{repository} has none of {', '.join(names)}")


def _says_not_found(error: BaseException) -> bool:
    """Tell whether behind an error is the answer that there is no such file: mirrors give no reason."""
    cause: BaseException | None = error
    while cause is not None:
        if getattr(getattr(cause, "response", None), "status_code", None) == 404:
            return True
        cause = cause.__cause__
    return False


def hub_is_off() -> bool:
    """Tell whether the user has forbidden the hub."""
    return any(
        os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def hub_reachable() -> bool:
    """Tell whether the hub answers within 5 s, once for this process; a name server that hangs counts too."""
    return not hub_is_off() and _answers(_endpoint(), REACH_SECONDS)


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _why_unreachable() -> str:
    if hub_is_off():
        return "HF_HUB_OFFLINE forbids fetching it"
    return f"{_endpoint()} does not answer"


@functools.cache
def _answers(url: str, seconds: float) -> bool:
    heard: list[bool] = []

    # A thread, since the look-up of a name has no time limit of its own.
    def ask() -> None:
        heard.append(_responds(url, seconds))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(heard and heard[0])


def _responds(url: str, seconds: float) -> bool:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    if not url.startswith(("https://", "http://")):
        return False
    try:
        with urlopen(Request(url, method="HEAD"), timeout=seconds):
            return True
    except HTTPError:
        return True  # it spoke
    except (OSError, ValueError):
        return False
