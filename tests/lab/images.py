"""The lab's images, built without a registry.

The base is a Debian made by mmdebstrap and imported; the app's releases are the base
plus the app's files. Each image carries the hash of its recipe as a label and is
rebuilt only when the recipe changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab.shell import LabError, lab_root, run

HERE = Path(__file__).resolve().parent
BASE = "sevdeck-lab/base:1"
TINY = "sevdeck-lab/tiny:1"
APP = "sevdeck-lab/app"
SYSTEMD = "sevdeck-lab/systemd:1"
GOOD_RELEASE = "1.0"
BAD_RELEASE = "1.1-bad"
RECIPE_LABEL = "sevdeck.lab.recipe"

# Raised when an image is put together differently from the same parts.
RECIPE_VERSION = "3"
SUITE = "bookworm"
BASE_PACKAGES = (
    "postgresql-15",
    "redis-server",
    "nginx-light",
    "python3",
    "python3-psycopg2",
    "python3-redis",
    "procps",
    "curl",
    "openssl",
    "busybox-static",
)
# A host as systemd boots it, with log-ins over ssh that logind knows.
SYSTEMD_PACKAGES = (
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "dbus-user-session",
    "openssh-server",
    "python3",
    "procps",
)
# Half of a plain install; nothing here is read by the lab.
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/share/perl/*/unicore/lib/*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/*/libz3.so*",
    "/usr/lib/postgresql/*/lib/llvmjit*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
)
# The package's own cluster: the stack makes one in a volume.
CLEAN_UP = (
    'rm -rf "$1"/var/lib/postgresql/15 "$1"/etc/postgresql/15 "$1"/var/cache/* '
    '"$1"/var/lib/apt/lists/* "$1"/var/log/*.log'
)


def ensure_images() -> list[str]:
    """Build what is absent or out of date; the names of what was built. One process builds, others wait for it."""
    lab_root().mkdir(parents=True, exist_ok=True)
    with (lab_root() / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_absent()


def _build_absent() -> list[str]:
    built = []
    for name, recipe, build in (
        (BASE, _base_recipe(), _build_base),
        (TINY, _tiny_recipe(), _build_tiny),
        (f"{APP}:{GOOD_RELEASE}", _app_recipe(), _build_apps),
    ):
        if image_recipe(name) != recipe:
            build(recipe)
            built.append(name)
    return built


def image_recipe(name: str) -> str | None:
    """The recipe hash of a local image; None when there is no such image."""
    form = f'{{{{index .Config.Labels "{RECIPE_LABEL}"}}}}'
    done = run(["docker", "image", "inspect", "--format", form, name], check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _digest(*parts: str | bytes) -> str:
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(joined).hexdigest()[:16]


def _base_recipe() -> str:
    return _digest(RECIPE_VERSION, SUITE, *BASE_PACKAGES, *LEFT_OUT, CLEAN_UP)


def _tiny_recipe() -> str:
    return _digest("busybox-static of", _base_recipe())


def _app_recipe() -> str:
    files = sorted((HERE / "shop").glob("*.py"))
    return _digest("2", _base_recipe(), *(file.read_bytes() for file in files))


def ensure_systemd_image() -> list[str]:
    """A Debian that can be booted in a container; only the tests of log-ins and of the service need it."""
    recipe = _digest(RECIPE_VERSION, SUITE, *SYSTEMD_PACKAGES, *LEFT_OUT)
    if image_recipe(SYSTEMD) == recipe:
        return []
    _build_debian(SYSTEMD, SYSTEMD_PACKAGES, recipe)
    return [SYSTEMD]


def _build_base(recipe: str) -> None:
    _build_debian(BASE, BASE_PACKAGES, recipe, CLEAN_UP)


def _build_debian(name: str, packages: Sequence[str], recipe: str, clean_up: str = "true") -> None:
    """Debian with these packages; `clean_up` is a line of shell that finds the root in $1."""
    if run([str(HERE / "install-engine"), "--images"], timeout=300, check=False).returncode:
        _build_from_debian(name, packages, recipe, clean_up)
    else:
        _build_from_packages(name, packages, recipe, clean_up)


def _build_from_packages(name: str, packages: Sequence[str], recipe: str, clean_up: str) -> None:
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        f"--customize-hook={clean_up}",
        SUITE,
    ]
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory) / "root.tar"
        run([*command, str(archive), "-"], stdin=_archive_lines(), timeout=600)
        _add_socket_directory(archive)
        _import(archive, name, recipe)


def _build_from_debian(name: str, packages: Sequence[str], recipe: str, clean_up: str) -> None:
    """Where mmdebstrap cannot be had, the engine must be able to pull Debian's image."""
    script = (
        "set -e; export DEBIAN_FRONTEND=noninteractive; apt-get -qq update;"
        f" apt-get -qq -y install --no-install-recommends {' '.join(packages)};"
        " install -d -m 1777 /run/postgresql; set -- /; " + clean_up
    )
    container = f"sevdeck-lab-build-{recipe}"
    try:
        run(["docker", "run", "--name", container, f"debian:{SUITE}-slim", "sh", "-c", script], timeout=600)
        run(["docker", "commit", "--change", f"LABEL {RECIPE_LABEL}={recipe}", container, name], timeout=300)
    finally:
        run(["docker", "rm", "--force", container], check=False)


def _add_socket_directory(archive: Path) -> None:
    """mmdebstrap empties /run; a tmpfs there would lose its mode on a restart."""
    with tarfile.open(archive, "a") as tar:
        entry = tarfile.TarInfo("./run/postgresql")
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(entry)


def _archive_lines() -> str:
    """The archives that apt uses here, for the suites of the recipe."""
    form = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).stdout
    lines = sorted({line for line in listed.splitlines() if SUITE in line.split()[2]})
    if not lines:
        raise LabError(f"apt has no archive for {SUITE} here; the lab's base image needs one")
    return "\n".join(lines) + "\n"


def _build_tiny(recipe: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "root"
        (root / "bin").mkdir(parents=True)
        _copy_from_image(BASE, "/bin/busybox", root / "bin" / "busybox")
        for applet in ("sh", "sleep", "echo", "cat", "ps", "date", "wget", "nc", "yes"):
            (root / "bin" / applet).symlink_to("busybox")
        archive = Path(directory) / "tiny.tar"
        run(["tar", "-C", str(root), "--owner=0", "--group=0", "-cf", str(archive), "."])
        _import(archive, TINY, recipe)


def _build_apps(recipe: str) -> None:
    for release in (BAD_RELEASE, GOOD_RELEASE):
        container = run(["docker", "create", BASE, "true"]).stdout.strip()
        try:
            run(["docker", "cp", f"{HERE / 'shop'}/.", f"{container}:/srv/shop"])
            _commit(container, f"{APP}:{release}", recipe, release)
        finally:
            run(["docker", "rm", "--force", container], check=False)


def _commit(container: str, name: str, recipe: str, release: str) -> None:
    changes = (
        f"LABEL {RECIPE_LABEL}={recipe}",
        f"LABEL org.opencontainers.image.version={release}",
        f"ENV SHOP_RELEASE={release}",
        "ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/srv",
        'CMD ["python3", "-m", "shop.app"]',
    )
    options = [option for change in changes for option in ("--change", change)]
    run(["docker", "commit", *options, container, name])


def _copy_from_image(image: str, source: str, target: Path) -> None:
    container = run(["docker", "create", image, "true"]).stdout.strip()
    try:
        run(["docker", "cp", "--follow-link", f"{container}:{source}", str(target)])
    finally:
        run(["docker", "rm", "--force", container], check=False)


def _import(archive: Path, name: str, recipe: str) -> None:
    label = f"LABEL {RECIPE_LABEL}={recipe}"
    run(["docker", "import", "--change", label, str(archive), name], timeout=300)
