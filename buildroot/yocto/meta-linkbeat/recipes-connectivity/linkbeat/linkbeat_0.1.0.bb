# nooelint: oelint.var.mandatoryvar.HOMEPAGE,oelint.var.suggestedvar.BUGTRACKER,oelint.var.bbclassextend
# It has no site, only its tarball; nothing of it is for the build host.
SUMMARY = "Presence agent for cameras"
DESCRIPTION = "An HTTP heartbeat every 30 seconds, and within milliseconds when the network is back"
SECTION = "net"
CVE_PRODUCT = "linkbeat"
LICENSE = "Apache-2.0 | MIT"
LIC_FILES_CHKSUM = "\
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
    file://LICENSE-MIT;md5=4e738bbd62618cb23b75d729b68b2716 \
"

# Where the release tarball lies: a URL, with ;sha256sum=... unless it begins with file://.
LINKBEAT_TARBALL ??= ""
# The file that becomes linkbeat.json; empty: the one in the tarball.
LINKBEAT_CONFIG ??= ""
# Empty leaves the authorities of the public web out: 60 KB less, and https wants tls.ca_file.
# nooelint: oelint.vars.mispell.unknown
LINKBEAT_WEB_ROOTS ??= "1"

SRC_URI = "${LINKBEAT_TARBALL}"
# Comes with the layer of a release. Without it the crates are those in the tarball.
# nooelint: oelint.file.requireinclude
include linkbeat-crates.inc

inherit cargo cargo-update-recipe-crates systemd update-rc.d useradd

SYSTEMD_SERVICE:${PN} = "linkbeat.service"
INITSCRIPT_NAME = "linkbeat"
INITSCRIPT_PARAMS = "defaults 60 40"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir / --shell /bin/false linkbeat"

# The lock file of the agent, not those of its fuzz targets and of the crates.
CARGO_LOCK_SRC_DIR = "${WORKDIR}/lock"
CARGO_VENDORING_DIRECTORY = "${@'${CARGO_HOME}/bitbake' if 'crate://' in d.getVar('SRC_URI') else '${S}/VENDOR'}"

CARGO_BUILD_FLAGS:append = " ${@'' if '${LINKBEAT_WEB_ROOTS}' else '--no-default-features'}"
# What .cargo/config.toml says is read in the directory of the build only.
RUSTFLAGS:append = " -C force-unwind-tables=no"
RUSTFLAGS:append:libc-musl = " -C target-feature=+crt-static"
# What is stripped belongs into the debug package.
export CARGO_PROFILE_RELEASE_STRIP = "false"

# Before anything is built for it.
python linkbeat_check() {
    import re
    if not d.getVar('LINKBEAT_TARBALL'):
        bb.fatal('LINKBEAT_TARBALL does not say where the release tarball is')
    rust = d.getVar('RUSTVERSION') or ''
    version = re.match(r'(\d+)\.(\d+)', rust)
    if version and tuple(map(int, version.groups())) < (1, 88):
        bb.fatal('linkbeat needs Rust 1.88, and RUSTVERSION is %s: add a layer with a newer Rust; '
                 'for scarthgap that is the branch scarthgap/rust of meta-lts-mixins' % rust)
}
linkbeat_check[doc] = "Fails where the tarball or a new enough Rust is missing"
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
    install -D -m 0644 $package/50-linkbeat.conf ${D}${sysconfdir}/sysctl.d/50-linkbeat.conf
    install -D -m 0640 "$config" ${D}${sysconfdir}/rpi-cam/linkbeat.json
    install -D -m 0644 ${S}/src/cli/linkbeat.8 ${D}${mandir}/man8/linkbeat.8
    shell=${S}/src/cli/shell
    install -D -m 0644 $shell/linkbeat.bash ${D}${datadir}/bash-completion/completions/linkbeat
    install -D -m 0644 $shell/_linkbeat ${D}${datadir}/zsh/site-functions/_linkbeat
    install -D -m 0644 $shell/linkbeat.fish ${D}${datadir}/fish/vendor_completions.d/linkbeat.fish
    # The web manager writes here as root, the agent reads as its group.
    chown -R root:linkbeat ${D}${sysconfdir}/rpi-cam
    chmod 2750 ${D}${sysconfdir}/rpi-cam
}
do_install[file-checksums] += "${@(d.getVar('LINKBEAT_CONFIG') + ':True') if d.getVar('LINKBEAT_CONFIG') else ''}"

# Needed where more than one uplink is used, and in the way of a strict filter.
PACKAGES =+ "${PN}-rp-filter ${PN}-completions"
FILES:${PN}-rp-filter += "${sysconfdir}/sysctl.d/50-linkbeat.conf"
# For who works at a shell of the device; the manual is in the package of documents.
FILES:${PN}-completions += "${datadir}/bash-completion ${datadir}/zsh ${datadir}/fish"
RRECOMMENDS:${PN} += "${PN}-rp-filter"
CONFFILES:${PN} = "${sysconfdir}/rpi-cam/linkbeat.json"
