################################################################################
#
# volet-edge
#
################################################################################

VOLET_EDGE_VERSION = $(call qstrip,$(BR2_PACKAGE_VOLET_EDGE_COMMIT))
VOLET_EDGE_SITE = $(call qstrip,$(BR2_PACKAGE_VOLET_EDGE_REPOSITORY))
VOLET_EDGE_SITE_METHOD = git
VOLET_EDGE_LICENSE = Apache-2.0 or MIT
VOLET_EDGE_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT
VOLET_EDGE_SUBDIR = edge
VOLET_EDGE_CARGO_BUILD_OPTS = --no-default-features \
	--features $(if $(BR2_PACKAGE_VOLET_EDGE_AGENT),agent$(comma)vault$(comma))h264$(comma)v4l2$(comma)watch
# What Buildroot would optimise for size is where the time goes.
VOLET_EDGE_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL=3 \
	CARGO_PROFILE_RELEASE_LTO=fat \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
VOLET_EDGE_CARGO_INSTALL_OPTS = $(VOLET_EDGE_CARGO_BUILD_OPTS)

define VOLET_EDGE_USERS
	volet-camera -1 volet-camera -1 * /var/lib/volet-camera - video Volet camera
endef

define VOLET_EDGE_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/deploy/systemd/volet-edge.service \
		$(TARGET_DIR)/usr/lib/systemd/system/volet-edge.service
	$(if $(BR2_PACKAGE_VOLET_EDGE_AGENT),$(INSTALL) -D -m 0644 $(@D)/deploy/systemd/volet-agent.service \
		$(TARGET_DIR)/usr/lib/systemd/system/volet-agent.service)
	$(INSTALL) -D -m 0644 $(@D)/deploy/systemd/volet-camera.preset \
		$(TARGET_DIR)/usr/lib/systemd/system-preset/50-volet-camera.preset
	$(INSTALL) -D -m 0644 $(@D)/deploy/systemd/volet-camera.tmpfiles \
		$(TARGET_DIR)/usr/lib/tmpfiles.d/volet-camera.conf
endef

define VOLET_EDGE_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(VOLET_EDGE_PKGDIR)/S80volet-edge \
		$(TARGET_DIR)/etc/init.d/S80volet-edge
endef

$(eval $(cargo-package))
