# The parts of Buildroot that the recipe uses. The variables of the recipe are printed instead of built.
# make --file tests/packaging/recipe.mk [BR2_...=...]

qstrip = $(strip $(subst ",,$(1)))
UPPERCASE = $(shell echo '$(1)' | tr 'a-z-' 'A-Z_')
INSTALL = install
TARGET_DIR = TARGET
LINKBEAT_PKGDIR = buildroot/package/linkbeat
BR2_EXTERNAL_LINKBEAT_PATH = $(CURDIR)/buildroot

define cargo-package
$(foreach name,$(sort $(filter LINKBEAT_%,$(.VARIABLES))),$(info $(name)=$($(name))))
endef

all: ;
include buildroot/external.mk
