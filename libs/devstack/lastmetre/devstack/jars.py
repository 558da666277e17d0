"""Apache Kafka's jars: fetched once by jgo, held against the lock's hashes at every start."""

import fcntl
import hashlib
import shutil
import sys
import tempfile
import threading
import tomllib
from pathlib import Path

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import LOCAL, cache_folder
from lastmetre.devstack.waiting import run_tool

LOCK = LOCAL / "jgo.lock.toml"
SPECIFICATION = LOCAL / "jgo.toml"
OWN_BROKER = "set KAFKA_BOOTSTRAP_SERVERS=host:port to use a broker of your own"


def kafka_jars(cancelled: threading.Event) -> list[Path]:
    """The verified jars, downloaded if the cache has none; needs a network only then.

    Raises StackError if they cannot be had or are not what the lock says.
    """
    expected = locked_hashes(LOCK)
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"kafka-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / "kafka.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _download(folder, expected, cancelled)
    return verified(folder, expected)


def locked_hashes(lock: Path) -> dict[str, str]:
    """File name → SHA-256 of every jar in a jgo lock."""
    dependencies = tomllib.loads(lock.read_text("utf-8"))["dependencies"]
    return {f"{d['artifactId']}-{d['version']}.{d['packaging']}": d["sha256"] for d in dependencies}


def verified(folder: Path, expected: dict[str, str]) -> list[Path]:
    """The jars in `folder`, if they are exactly the expected ones; else StackError."""
    jars = sorted(folder.glob("*/*.jar"))
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}
    wrong = sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    )
    if wrong:
        raise StackError(
            f"Kafka's jars in {folder} are not those of {LOCK}: {', '.join(wrong[:5])}"
            f"{' …' if len(wrong) > 5 else ''} missing, unknown or altered.",
            f"delete {folder} to have them downloaded again; if that gives the same, do not run "
            "them: the repository you download from does not serve the real ones. "
            f"Or {OWN_BROKER}.",
        )
    return jars


def _download(folder: Path, expected: dict[str, str], cancelled: threading.Event) -> None:
    log = folder.parent / "kafka-download.log"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-") as scratch:
        work = Path(scratch)
        shutil.copy(SPECIFICATION, work / "jgo.toml")
        jgo = [sys.executable, "-m", "jgo", "--resolver", "python", "--color", "plain"]
        places = ["--cache-dir", str(work / "jars"), "--repo-cache", str(work / "repository")]
        try:
            run_tool([*jgo, "--links", "copy", *places, "sync"], log, cancelled, cwd=work)
        except StackError as error:
            raise StackError(
                "Apache Kafka's jars could not be downloaded.",
                "check the network (a mirror of Maven Central goes into ~/.config/jgo.conf), or "
                f"copy {folder.parent} from a machine that has it (LASTMETRE_CACHE names another "
                f"place), or {OWN_BROKER}.",
                log,
            ) from error
        # Only what is right gets the name that later starts look for.
        verified(work / "jars", expected)
        (work / "jars").rename(folder)
