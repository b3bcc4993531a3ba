# nooelint: oelint.var.mandatoryvar.HOMEPAGE,oelint.var.suggestedvar.BUGTRACKER,oelint.var.bbclassextend
# The project has no web site, only its tarball; nothing is built for the build host.
SUMMARY = "Presence agent for cameras"
DESCRIPTION = "Sends an HTTP heartbeat every 30 seconds, and within milliseconds after the network has changed"
SECTION = "net"
CVE_PRODUCT = "linkbeat"
# linkbeat and the crates, which are linked into the binary. Rust's standard library and the C library are those of the
# build, with recipes of their own.
LICENSE = "(Apache-2.0 | MIT) & Apache-2.0 & BSD-3-Clause & BSL-1.0 & CDLA-Permissive-2.0 & ISC & MIT"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://LICENSE-MIT;md5=4e738bbd62618cb23b75d729b68b2716 \
    file://LICENSE-THIRD-PARTY;md5=52493f822c01f117e070884d955e3602 \
"

# A release of OpenEmbedded that has no text of this licence takes it from here.
NO_GENERIC_LICENSE[CDLA-Permissive-2.0] = "LICENSE-THIRD-PARTY"

# The URL of the release tarball, with ;sha256sum=... unless it begins with file://.
LINKBEAT_TARBALL ??= ""
# The file to install as linkbeat.json; if empty, the one in the tarball.
LINKBEAT_CONFIG ??= ""
# If empty, the authorities of the public web are left out: 60 KB less, and https needs tls.ca_file.
# nooelint: oelint.vars.mispell.unknown
LINKBEAT_WEB_ROOTS ??= "1"

SRC_URI = "${LINKBEAT_TARBALL}"
# The layer in a release has this file. Without it, the crates in the tarball are used.
# nooelint: oelint.file.requireinclude
include linkbeat-crates.inc

inherit cargo cargo-update-recipe-crates systemd update-rc.d useradd

SYSTEMD_SERVICE:${PN} = "linkbeat.service"
INITSCRIPT_NAME = "linkbeat"
INITSCRIPT_PARAMS = "defaults 60 40"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir / --shell /bin/false linkbeat"

# The directory with the lock file of the agent alone, without those of the fuzz targets and crates.
CARGO_LOCK_SRC_DIR = "${WORKDIR}/lock"
CARGO_VENDORING_DIRECTORY = "${@'${CARGO_HOME}/bitbake' if 'crate://' in d.getVar('SRC_URI') else '${S}/VENDOR'}"

CARGO_BUILD_FLAGS:append = " ${@'' if '${LINKBEAT_WEB_ROOTS}' else '--no-default-features'}"
# .cargo/config.toml is read in the build directory only, so its flags are repeated here.
RUSTFLAGS:append = " -C force-unwind-tables=no"
RUSTFLAGS:append:libc-musl = " -C target-feature=+crt-static"
# BitBake strips the binary itself, for the debug package.
export CARGO_PROFILE_RELEASE_STRIP = "false"

# Runs before anything is built.
python linkbeat_check() {
    import re
    if not d.getVar('LINKBEAT_TARBALL'):
        bb.fatal('LINKBEAT_TARBALL is not set: set it to the URL of the release tarball')
    rust = d.getVar('RUSTVERSION') or ''
    version = re.match(r'(\d+)\.(\d+)', rust)
    if version and tuple(map(int, version.groups())) < (1, 88):
        bb.fatal('linkbeat needs Rust 1.88, but RUSTVERSION is %s: add a layer with a newer Rust; '
                 'for scarthgap, the branch scarthgap/rust of meta-lts-mixins' % rust)
}
linkbeat_check[doc] = "Fails if the tarball is not set or Rust is too old"
do_fetch[prefuncs] += "linkbeat_check"

do_update_crates:prepend() {
    install -D -m 0644 ${S}/Cargo.lock ${CARGO_LOCK_SRC_DIR}/Cargo.lock
}

do_install() {
    package=${S}/buildroot/package/linkbeat
    config="${LINKBEAT_CONFIG}"
    [ -n "$config" ] || config=$package/linkbeat.json
    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/linkbeat ${D}${bindir}/linkbeat
    install -D -m 0755 $package/S60linkbeat ${D}${sysconfdir}/init.d/linkbeat
    install -D -m 0644 $package/linkbeat.service ${D}${systemd_system_unitdir}/linkbeat.service
    install -D -m 0755 $package/linkbeat-generator ${D}${systemd_unitdir}/system-generators/linkbeat-generator
    install -D -m 0644 $package/50-linkbeat.conf ${D}${sysconfdir}/sysctl.d/50-linkbeat.conf
    install -D -m 0644 $package/51-linkbeat-neighbours.conf ${D}${sysconfdir}/sysctl.d/51-linkbeat-neighbours.conf
    install -D -m 0640 "$config" ${D}${sysconfdir}/linkbeat/linkbeat.json
    install -D -m 0644 ${S}/src/cli/linkbeat.8 ${D}${mandir}/man8/linkbeat.8
    shell=${S}/src/cli/shell
    install -D -m 0644 $shell/linkbeat.bash ${D}${datadir}/bash-completion/completions/linkbeat
    install -D -m 0644 $shell/_linkbeat ${D}${datadir}/zsh/site-functions/_linkbeat
    install -D -m 0644 $shell/linkbeat.fish ${D}${datadir}/fish/vendor_completions.d/linkbeat.fish
    # Root writes here, the agent reads as group linkbeat.
    chown -R root:linkbeat ${D}${sysconfdir}/linkbeat
    chmod 2750 ${D}${sysconfdir}/linkbeat
}
do_install[file-checksums] += "${@(d.getVar('LINKBEAT_CONFIG') + ':True') if d.getVar('LINKBEAT_CONFIG') else ''}"

# Needed with more than one uplink; unwanted where the filter is to stay strict.
PACKAGES =+ "${PN}-rp-filter ${PN}-neighbours ${PN}-completions"
FILES:${PN} += "${systemd_unitdir}/system-generators"
FILES:${PN}-rp-filter += "${sysconfdir}/sysctl.d/50-linkbeat.conf"
# Makes the kernel repeat the request for the gateway sooner after a roam.
FILES:${PN}-neighbours += "${sysconfdir}/sysctl.d/51-linkbeat-neighbours.conf"
# For people at a shell of the device; the manual is in the -doc package.
FILES:${PN}-completions += "${datadir}/bash-completion ${datadir}/zsh ${datadir}/fish"
RRECOMMENDS:${PN} += "${PN}-rp-filter ${PN}-neighbours"
CONFFILES:${PN} = "${sysconfdir}/linkbeat/linkbeat.json"
