"""Says which crates of the camera's program can open a socket or look up a name, and fails where one does that may not.

Usage: sockets.py DEPS, the folder of a release build's libraries (target/release/deps). Looks at what the built code of each crate in
the camera's dependency graph refers to, so that a dependency which begins to talk to somebody is seen before it is shipped,
whatever its source looks like. Within `volet-edge` itself `edge/clippy.toml` holds the code to the gate.
"""

import pathlib
import re
import subprocess
import sys

# Functions that open, bind or connect a socket, or look up a name: in C, and in the crates that lend them to others.
TALKS = re.compile(
    r"^(?:__)?(?:socket|connect|bind|listen|accept4?|sendto|sendmsg|sendmmsg|getaddrinfo|gethostbyname(?:_r)?|res_n?(?:query|search)|io_uring_setup)$"
    r"|\b(?:std|tokio)::(?:os::unix::|sys::)?net::.*(?:connect|bind|unbound|lookup_host|to_socket_addrs)"
    r"|\bToSocketAddrs\b|\bsocket2::(?:socket::)?Socket(?:>)?::(?:new|new_raw|connect|bind|listen|send_to)"
    r"|\bmio::net::.*(?:connect|bind|unbound)|\bquinn\b|\bhyper_util::client::legacy::connect::http\b"
)

# Who may, and what for.
MAY = {
    "std": "lends",
    "mio": "lends",
    "socket2": "lends",
    "tokio": "lends",
    "nix": "lends; the camera has it for signals alone, and the audit, where both are built together, for capturing",
    "rustix": "lends; it has no part in networks here",
    "libc": "lends",
    "hyper_util": "lends a connector that nobody in the camera makes: connections are the gate's",
    "tonic": "the same, for a channel that is given the gate's connections",
    "axum": "the owner's page, on 127.0.0.1, while its owner asks for it",
    "retina": "a network camera's own stream (RTSP), which comes in",
    "volet_edge": "the gate, the owner's page, the network camera's stream, words to the service manager",
    "volet_federated": "the aggregator's side and the helper's; a camera is given the gate",
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} failed: {done.stderr.strip()}")
    return done.stdout


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    built = {}
    for library in pathlib.Path(sys.argv[1]).glob("lib*.rlib"):
        built.setdefault(library.name[3:].rsplit("-", 1)[0], []).append(library)
    graph = run("cargo", "tree", "--package", "volet-edge", "--edges", "normal", "--prefix", "none", "--format", "{lib}", "--locked")
    crates = sorted({crate for crate in graph.split() if crate != "(*)"})
    missing = [crate for crate in crates if crate not in built]
    if len(missing) > len(crates) // 4:
        sys.exit(f"{sys.argv[1]} is no folder of a release build's libraries: build first")
    talks, strangers = [], []
    for crate in crates:
        # What is a macro, or empty, has no library.
        found = set()
        for library in built.get(crate, []):
            names = run("nm", "--demangle", "--format=just-symbols", str(library)).splitlines()
            found.update(name for name in names if TALKS.search(name))
        if found:
            talks.append(crate)
        if found and crate not in MAY:
            strangers.append(crate)
            print(f"FAILED   {crate} can open a socket or look up a name:")
            for name in sorted(found)[:5]:
                print(f"         {name}")
    if strangers:
        sys.exit(1)
    if "volet_edge" not in talks:
        sys.exit("not even the gate was found: this check does not see calls any more")
    print(f"good     sockets: of {len(crates)} crates in the camera's program {', '.join(talks)} reach one, and all of them may")


if __name__ == "__main__":
    main()
