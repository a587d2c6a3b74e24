SUMMARY = "Volet's part on the camera: covers faces and writes annotations, on the device"
# Linked in beside crates under the same licences: openh264 (BSD-2-Clause).
LICENSE = "(Apache-2.0 | MIT) & BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE-MIT;md5=ffe33510b68dffb697d337860e9617c4 file://LICENSE-APACHE;md5=22a53954e4e0ec258dfce4391e905dac"

inherit cargo cargo-update-recipe-crates systemd useradd

# Where the source is taken from, and the commit, written out: set both in local.conf or a .bbappend, as in
# VOLET_REPOSITORY = "git://git.example.com/volet;protocol=https;branch=main". Until then nothing else is disturbed.
VOLET_REPOSITORY ?= ""
SRC_URI = "${VOLET_REPOSITORY}"
SRCREV ?= "INVALID"
S = "${WORKDIR}/git"
PV = "0.1.0+git"

python () {
    if not d.getVar('VOLET_REPOSITORY') or d.getVar('SRCREV') == 'INVALID':
        raise bb.parse.SkipRecipe('set VOLET_REPOSITORY and SRCREV')
}

# The crates of Cargo.lock, with hashes: `bitbake -c update_crates volet-edge` writes the file. Until it is there the build ends
# with crates that cannot be found.
include volet-edge-crates.inc

CARGO_SRC_DIR = "edge"
PACKAGECONFIG ??= "agent h264 v4l2 watch"
PACKAGECONFIG[agent] = ""
PACKAGECONFIG[h264] = ""
PACKAGECONFIG[v4l2] = ""
PACKAGECONFIG[rtsp] = ""
PACKAGECONFIG[watch] = ""
# The profile that packages have; whoever packs this strips it.
BUILD_MODE = "--profile dist"
BUILD_DIR = "dist"
export CARGO_PROFILE_DIST_STRIP = "none"
CARGO_BUILD_FLAGS += "--no-default-features --features '${@d.getVar('PACKAGECONFIG').replace('agent', 'agent,vault').replace(' ', ',')}'"

SYSTEMD_SERVICE:${PN} = "volet-edge.service volet-agent.service"
# Which camera, and what its owner agrees to, is not the package's to say.
SYSTEMD_AUTO_ENABLE = "disable"
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --home-dir /var/lib/volet-camera --shell /sbin/nologin --groups video volet-camera"

do_install:append() {
    install -D -m 0644 ${S}/deploy/systemd/volet-edge.service ${D}${systemd_system_unitdir}/volet-edge.service
    install -D -m 0644 ${S}/deploy/systemd/volet-agent.service ${D}${systemd_system_unitdir}/volet-agent.service
    install -D -m 0644 ${S}/deploy/systemd/volet-camera.tmpfiles ${D}${nonarch_libdir}/tmpfiles.d/volet-camera.conf
}

FILES:${PN} += "${nonarch_libdir}/tmpfiles.d"
