################################################################################
#
# linkbeat
#
################################################################################

LINKBEAT_VERSION = 0.1.0
# The crates are linked into the binary. Their texts are in the third file, which
# scripts/licences writes.
LINKBEAT_LICENSE = \
	Apache-2.0 or MIT (linkbeat), \
	Apache-2.0, BSD-3-Clause, BSL-1.0, CDLA-Permissive-2.0, ISC, MIT (crates)
LINKBEAT_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT LICENSE-THIRD-PARTY

ifneq ($(call qstrip,$(BR2_PACKAGE_LINKBEAT_TARBALL)),)
LINKBEAT_SOURCE = linkbeat-$(LINKBEAT_VERSION)-vendored.tar.gz
LINKBEAT_SITE = $(call qstrip,$(BR2_PACKAGE_LINKBEAT_TARBALL))
else
LINKBEAT_SITE = $(realpath $(BR2_EXTERNAL_LINKBEAT_PATH)/..)
LINKBEAT_SITE_METHOD = local
LINKBEAT_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude=/target
# Buildroot downloads nothing for a local source, so the crates are fetched
# here. An unpacked release contains them.
define LINKBEAT_FETCH_CRATES
	cd $(@D) && { [ -d VENDOR ] || \
		$(TARGET_MAKE_ENV) $(PKG_CARGO_ENV) cargo fetch --locked; }
endef
LINKBEAT_PRE_CONFIGURE_HOOKS += LINKBEAT_FETCH_CRATES
endif

# Buildroot's profile for all Rust packages overrides that of Cargo.toml; these
# settings override Buildroot's. They repeat [profile.release] of Cargo.toml.
LINKBEAT_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_LTO="fat" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1" \
	CARGO_PROFILE_RELEASE_PANIC="abort" \
	CARGO_PROFILE_RELEASE_STRIP="true" \
	CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS="true"

# Compile the C files of ring for size as well: the last -O option counts.
LINKBEAT_CARGO_ENV += CFLAGS="$(TARGET_CFLAGS) -Os"

# A panic ends the process, so the unwind tables of the ready-made standard
# library are useless. On 32-bit ARM they have another form, and Buildroot sets
# flags of its own.
ifneq ($(BR2_arm)$(BR2_armeb),y)
LINKBEAT_CARGO_ENV += \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="-Clink-arg=-T$(LINKBEAT_PKGDIR)/tables.ld"
endif

ifneq ($(BR2_PACKAGE_LINKBEAT_WEB_ROOTS),y)
# The install step must have the same options, or it builds again.
LINKBEAT_CARGO_BUILD_OPTS = --no-default-features
LINKBEAT_CARGO_INSTALL_OPTS = --no-default-features
endif

define LINKBEAT_INSTALL_CONFIG
	$(INSTALL) -D -m 0640 $(call qstrip,$(BR2_PACKAGE_LINKBEAT_CONFIG)) \
		$(TARGET_DIR)/etc/linkbeat/linkbeat.json
endef
LINKBEAT_POST_INSTALL_TARGET_HOOKS += LINKBEAT_INSTALL_CONFIG

ifeq ($(BR2_PACKAGE_LINKBEAT_LOOSE_RP_FILTER),y)
define LINKBEAT_INSTALL_SYSCTL
	$(INSTALL) -D -m 0644 $(LINKBEAT_PKGDIR)/50-linkbeat.conf \
		$(TARGET_DIR)/etc/sysctl.d/50-linkbeat.conf
endef
LINKBEAT_POST_INSTALL_TARGET_HOOKS += LINKBEAT_INSTALL_SYSCTL
endif

ifeq ($(BR2_PACKAGE_LINKBEAT_NEIGHBOURS),y)
define LINKBEAT_INSTALL_NEIGHBOURS
	$(INSTALL) -D -m 0644 $(LINKBEAT_PKGDIR)/51-linkbeat-neighbours.conf \
		$(TARGET_DIR)/etc/sysctl.d/51-linkbeat-neighbours.conf
endef
LINKBEAT_POST_INSTALL_TARGET_HOOKS += LINKBEAT_INSTALL_NEIGHBOURS
endif

# An image has no manual pages. It gets the completions of the shells in it.
ifeq ($(BR2_PACKAGE_BASH_COMPLETION),y)
define LINKBEAT_INSTALL_BASH_COMPLETION
	$(INSTALL) -D -m 0644 $(@D)/src/cli/shell/linkbeat.bash \
		$(TARGET_DIR)/usr/share/bash-completion/completions/linkbeat
endef
LINKBEAT_POST_INSTALL_TARGET_HOOKS += LINKBEAT_INSTALL_BASH_COMPLETION
endif

ifeq ($(BR2_PACKAGE_ZSH),y)
define LINKBEAT_INSTALL_ZSH_COMPLETION
	$(INSTALL) -D -m 0644 $(@D)/src/cli/shell/_linkbeat \
		$(TARGET_DIR)/usr/share/zsh/site-functions/_linkbeat
endef
LINKBEAT_POST_INSTALL_TARGET_HOOKS += LINKBEAT_INSTALL_ZSH_COMPLETION
endif

define LINKBEAT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(LINKBEAT_PKGDIR)/S60linkbeat \
		$(TARGET_DIR)/etc/init.d/S60linkbeat
endef

define LINKBEAT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(LINKBEAT_PKGDIR)/linkbeat.service \
		$(TARGET_DIR)/usr/lib/systemd/system/linkbeat.service
	$(INSTALL) -D -m 0755 $(LINKBEAT_PKGDIR)/linkbeat-generator \
		$(TARGET_DIR)/usr/lib/systemd/system-generators/linkbeat-generator
endef

define LINKBEAT_USERS
	linkbeat -1 linkbeat -1 * - - - Presence agent
endef

# Root writes here, the agent reads as group linkbeat.
define LINKBEAT_PERMISSIONS
	/etc/linkbeat d 2750 root linkbeat - - - - -
	/etc/linkbeat/linkbeat.json f 0640 root linkbeat - - - - -
endef

$(eval $(cargo-package))
