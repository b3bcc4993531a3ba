"""Tests the Buildroot external tree with the rules of Buildroot, but without Buildroot."""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import tomllib

import kconfiglib

import licences

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "buildroot/package/linkbeat"
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())

# The parts of Buildroot that the menu depends on.
BUILDROOT = """
config BR2_TOOLCHAIN_USES_MUSL
	bool "musl"
config BR2_INSTALL_LIBSTDCPP
	bool "C++"
config BR2_PACKAGE_HOST_RUSTC_ARCH_SUPPORTS
	def_bool y
config BR2_PACKAGE_HOST_RUSTC_TARGET_ARCH_SUPPORTS
	def_bool y
	depends on BR2_INSTALL_LIBSTDCPP || !BR2_TOOLCHAIN_USES_MUSL
config BR2_PACKAGE_HOST_RUSTC
	bool "host rustc"
config BR2_USE_MMU
	def_bool y
config BR2_INIT_BUSYBOX
	bool "BusyBox"
config BR2_INIT_SYSV
	bool "sysvinit"
menuconfig BR2_PACKAGE_UTIL_LINUX
	bool "util-linux"
config BR2_PACKAGE_UTIL_LINUX_SETPRIV
	bool "setpriv"
	depends on BR2_PACKAGE_UTIL_LINUX && BR2_USE_MMU
source "$BR2_EXTERNAL_LINKBEAT_PATH/Config.in"
"""

# The default profile that Buildroot exports for every Rust package.
PROFILE = {
    "INCREMENTAL": "false",
    "CODEGEN_UNITS": "16",
    "SPLIT_DEBUGINFO": "off",
    "OPT_LEVEL": "2",
    "LTO": "false",
    "DEBUG": "0",
    "DEBUG_ASSERTIONS": "false",
    "OVERFLOW_CHECKS": "false",
}


def menu():
    os.environ["BR2_EXTERNAL_LINKBEAT_PATH"] = str(ROOT / "buildroot")
    os.environ["CONFIG_"] = ""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write(BUILDROOT)
        file.flush()
        return kconfiglib.Kconfig(file.name, warn_to_stderr=False)


def recipe(**options):
    """The variables of the recipe, as a dictionary."""
    result = subprocess.run(
        ["make", "--silent", "--warn-undefined-variables", "--file", "tests/packaging/recipe.mk"]
        + [f"{name}={value}" for name, value in options.items()],
        cwd=ROOT, capture_output=True, text=True, check=True)
    # Variables of Buildroot are empty here.
    unknown = set(re.findall(r"undefined variable '(.*?)'", result.stderr))
    assert unknown <= {"@", "TARGET_MAKE_ENV", "PKG_CARGO_ENV", "TARGET_CFLAGS", "RUSTC_TARGET_NAME", "BR2_arm",
                       "BR2_armeb", "BR2_PACKAGE_LINKBEAT_TARBALL",
                       "BR2_PACKAGE_LINKBEAT_CONFIG", "BR2_PACKAGE_LINKBEAT_WEB_ROOTS",
                       "BR2_PACKAGE_LINKBEAT_LOOSE_RP_FILTER", "BR2_PACKAGE_LINKBEAT_NEIGHBOURS",
                       "BR2_PACKAGE_BASH_COMPLETION",
                       "BR2_PACKAGE_ZSH"}, unknown
    variables, name = {}, None
    for line in result.stdout.splitlines():
        match = re.match(r"(LINKBEAT_\w+)=(.*)", line)
        if match:
            name = match[1]
            variables[name] = match[2]
        else:
            variables[name] += "\n" + line
    return variables


def environment(**options):
    """The environment that the recipe exports for the build."""
    return dict(word.split("=", 1) for word in shlex.split(recipe(**options)["LINKBEAT_CARGO_ENV"]))


def profile():
    return {name: value for name, value in environment().items() if name.startswith("CARGO_PROFILE_")}


def the_menu_follows_the_toolchain():
    kconfig = menu()
    assert not kconfig.warnings, kconfig.warnings
    symbols = kconfig.syms
    ours, musl = symbols["BR2_PACKAGE_LINKBEAT"], symbols["BR2_TOOLCHAIN_USES_MUSL"]
    ours.set_value("y")
    assert ours.str_value == "y" and symbols["BR2_PACKAGE_HOST_RUSTC"].str_value == "y"
    assert symbols["BR2_PACKAGE_LINKBEAT_TARBALL"].str_value == ""
    assert symbols["BR2_PACKAGE_LINKBEAT_WEB_ROOTS"].str_value == "y"
    assert symbols["BR2_PACKAGE_LINKBEAT_LOOSE_RP_FILTER"].str_value == "y"
    assert symbols["BR2_PACKAGE_LINKBEAT_NEIGHBOURS"].str_value == "y"
    config = symbols["BR2_PACKAGE_LINKBEAT_CONFIG"].str_value
    assert config == str(PACKAGE / "linkbeat.json"), config
    comment = next(node for node in kconfig.node_iter() if node.item == kconfiglib.COMMENT)
    assert kconfiglib.expr_value(comment.dep) == 0, "the comment shows although all is there"
    musl.set_value("y")
    assert ours.str_value == "n", "musl without C++"
    assert kconfiglib.expr_value(comment.dep) == 2, "the comment does not show"
    symbols["BR2_INSTALL_LIBSTDCPP"].set_value("y")
    assert ours.str_value == "y"


def an_old_kernel_brings_setpriv_to_an_init_script():
    symbols = menu().syms
    old, setpriv = (symbols[f"BR2_PACKAGE_{name}"] for name in ("LINKBEAT_OLD_KERNEL", "UTIL_LINUX_SETPRIV"))
    for name in "LINKBEAT", "LINKBEAT_OLD_KERNEL":
        symbols[f"BR2_PACKAGE_{name}"].set_value("y")
    assert old.str_value == "n" and setpriv.str_value == "n", "without an init script"
    symbols["BR2_INIT_BUSYBOX"].set_value("y")
    assert old.str_value == "y" and setpriv.str_value == "y"
    old.set_value("n")
    assert setpriv.str_value == "n", "unasked"


def the_fragments_name_what_exists():
    kconfig = menu()
    ours = {name for name in kconfig.syms if "LINKBEAT" in name}
    for file in (ROOT / "buildroot/configs").iterdir():
        named = set(re.findall(r"BR2_PACKAGE_LINKBEAT\w*", file.read_text()))
        assert named and named <= ours, (file, named)


def the_help_fits_the_menu():
    # The rule of utils/check-package in Buildroot: a tab, two spaces and 62 characters.
    lines = [line for line in (PACKAGE / "Config.in").read_text().splitlines() if line.startswith("\t  ")]
    assert lines and not [line for line in lines if len(line) > 3 + 62]


def the_version_is_that_of_the_crate():
    assert recipe()["LINKBEAT_VERSION"] == CARGO["workspace"]["package"]["version"]
    declared = re.search(r"Rust ([0-9.]+)", (PACKAGE / "Config.in").read_text())[1]
    assert declared == CARGO["workspace"]["package"]["rust-version"], declared


def the_profile_is_that_of_the_crate():
    expected = {
        "CARGO_PROFILE_RELEASE_" + key.upper().replace("-", "_"): str(value).lower()
        for key, value in CARGO["profile"]["release"].items()
        # Cargo sets that of single packages over what Buildroot exports.
        if key != "package"}
    repeated = profile()
    assert repeated == expected, (repeated, expected)


def the_binary_is_as_small_as_without_buildroot():
    base = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    exported = {f"CARGO_PROFILE_RELEASE_{key}": value for key, value in PROFILE.items()}
    # Side by side: the last step of each has one processor to itself.
    builds = [
        (target, subprocess.Popen(
            ["cargo", "build", "--quiet", "--release", "--locked", "--bin", "linkbeat", "--target-dir", target],
            cwd=ROOT, env={**os.environ, **variables}))
        for target, variables in ((base, {}), (base / "buildroot", {**exported, **profile()}))]
    assert [build.wait() for _, build in builds] == [0, 0]
    plain, built = ((target / "release/linkbeat").stat().st_size for target, _ in builds)
    print(f"recipe: {built} bytes with the profile of Buildroot below that of the recipe, {plain} without")
    # The order of functions depends on the names of the crates, and those on what was set how.
    assert abs(built - plain) < plain / 1000


def nobody_misses_the_tables_to_unwind_by():
    flags = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUSTFLAGS"
    found = environment(RUSTC_TARGET_NAME="aarch64-unknown-linux-musl")
    assert found[flags] == "-Clink-arg=-Tbuildroot/package/linkbeat/tables.ld", found
    assert found["CFLAGS"].split()[-1] == "-Os", found
    # On 32-bit ARM, Buildroot sets flags of its own in the same variable.
    assert not any(name.endswith("_RUSTFLAGS") for name in environment(BR2_arm="y"))
    with tempfile.TemporaryDirectory() as directory:
        program, script = pathlib.Path(directory, "program"), PACKAGE / "tables.ld"
        for linked in ([], ["-static"]):
            subprocess.run(["cc", *linked, f"-Wl,-T,{script}", "-x", "c", "-", "-o", program],
                           input=b"int main(void) { return 7; }", check=True)
            assert subprocess.run([program]).returncode == 7
            sections = subprocess.run(["readelf", "--sections", "--wide", program],
                                      check=True, capture_output=True, text=True).stdout
            assert "gcc_except_table" not in sections, sections
            assert int(re.search(r" \.eh_frame .*?(?:\w+ +){3}(\w+)", sections)[1], 16) < 1000, sections


def the_roots_of_the_web_can_be_left_out():
    assert "web-roots" in CARGO["features"]["default"]
    steps = ["LINKBEAT_CARGO_BUILD_OPTS", "LINKBEAT_CARGO_INSTALL_OPTS"]
    without, kept = recipe(), recipe(BR2_PACKAGE_LINKBEAT_WEB_ROOTS="y")
    assert [without[step] for step in steps] == ["--no-default-features"] * 2, without
    assert not kept.keys() & set(steps), kept


def the_licences_have_their_hashes():
    hashes = {}
    for line in (PACKAGE / "linkbeat.hash").read_text().splitlines():
        if not line.startswith("#"):
            kind, value, file = line.split("  ")
            assert kind == "sha256"
            hashes[file] = value
    for file in recipe()["LINKBEAT_LICENSE_FILES"].split():
        found = subprocess.run(["sha256sum", ROOT / file], capture_output=True, text=True, check=True)
        assert hashes.pop(file) == found.stdout.split()[0], file
    assert not hashes, hashes


def the_licences_of_the_crates_are_named():
    variables = recipe()
    assert "LICENSE-THIRD-PARTY" in variables["LINKBEAT_LICENSE_FILES"].split()
    ours, crates = re.fullmatch(r"(.*) \(linkbeat\), (.*) \(crates\)", " ".join(variables["LINKBEAT_LICENSE"].split())).groups()
    assert ours == "Apache-2.0 or MIT", ours
    assert crates.split(", ") == sorted(licences.of_the_crates()), crates


def both_sources_are_named():
    local = recipe()
    assert local["LINKBEAT_SITE"] == str(ROOT) and local["LINKBEAT_SITE_METHOD"] == "local"
    assert "cargo fetch --locked" in local["LINKBEAT_FETCH_CRATES"]
    tarball = recipe(BR2_PACKAGE_LINKBEAT_TARBALL='"file:///srv/releases"')
    assert tarball["LINKBEAT_SITE"] == "file:///srv/releases"
    version = CARGO["workspace"]["package"]["version"]
    assert tarball["LINKBEAT_SOURCE"] == f"linkbeat-{version}-vendored.tar.gz"
    assert "LINKBEAT_PRE_CONFIGURE_HOOKS" not in tarball


def every_file_is_installed_with_its_mode():
    variables = recipe(
        BR2_PACKAGE_LINKBEAT_LOOSE_RP_FILTER="y",
        BR2_PACKAGE_LINKBEAT_NEIGHBOURS="y",
        BR2_PACKAGE_BASH_COMPLETION="y",
        BR2_PACKAGE_ZSH="y",
        BR2_PACKAGE_LINKBEAT_CONFIG='"buildroot/package/linkbeat/linkbeat.json"')
    hooks = variables["LINKBEAT_POST_INSTALL_TARGET_HOOKS"].split()
    commands = hooks + ["LINKBEAT_INSTALL_INIT_SYSV", "LINKBEAT_INSTALL_INIT_SYSTEMD"]
    with tempfile.TemporaryDirectory() as target:
        for name in commands:
            # $(@D) is empty here, and the sources are in the current directory.
            script = variables[name].replace("TARGET/", target + "/").replace(" /src/", " src/")
            subprocess.run(["sh", "-euc", script], cwd=ROOT, check=True)
        installed = {
            "/" + str(path.relative_to(target)): f"{path.stat().st_mode & 0o7777:o}"
            for path in pathlib.Path(target).rglob("*") if path.is_file()}
    assert installed == {
        "/etc/linkbeat/linkbeat.json": "640",
        "/etc/sysctl.d/50-linkbeat.conf": "644",
        "/etc/sysctl.d/51-linkbeat-neighbours.conf": "644",
        "/etc/init.d/S60linkbeat": "755",
        "/usr/lib/systemd/system/linkbeat.service": "644",
        "/usr/lib/systemd/system-generators/linkbeat-generator": "755",
        "/usr/share/bash-completion/completions/linkbeat": "644",
        "/usr/share/zsh/site-functions/_linkbeat": "644",
    }, installed
    without = recipe()["LINKBEAT_POST_INSTALL_TARGET_HOOKS"].split()
    assert without == ["LINKBEAT_INSTALL_CONFIG"], without


def the_agent_has_a_user_and_may_read_its_files():
    variables = recipe()
    user = variables["LINKBEAT_USERS"].split(None, 8)
    assert user == ["linkbeat", "-1", "linkbeat", "-1", "*", "-", "-", "-", "Presence agent"], user
    permissions = [line.split()[:5] for line in variables["LINKBEAT_PERMISSIONS"].strip().splitlines()]
    assert permissions == [
        ["/etc/linkbeat", "d", "2750", "root", "linkbeat"],
        ["/etc/linkbeat/linkbeat.json", "f", "0640", "root", "linkbeat"],
    ], permissions


CLAIMS = [claim for name, claim in list(globals().items())
          if callable(claim) and getattr(claim, "__module__", "") == "__main__"
          and name not in ("menu", "recipe", "environment", "profile")]
for claim in CLAIMS:
    claim()
    print("recipe:", claim.__name__.replace("_", " "))
