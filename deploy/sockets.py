"""Says whose code in a built program can open a socket or look up a name, and fails where that is not who may.

Usage: sockets.py PROGRAM. Reads the program's calls (objdump, of GNU binutils), so that a dependency which begins to talk to
somebody is seen before it is shipped, whatever its source looks like. Sees direct calls: what goes through a pointer is held by
the sandbox and looked for on the wire by tests/capture.
"""

import collections
import re
import subprocess
import sys

# What opens, binds or addresses a socket, and what looks up names.
TALK = {
    "socket", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg",
    "getaddrinfo", "gethostbyname", "gethostbyname_r", "res_query", "res_search",
}
# The same by number, for code that asks the kernel itself (x86-64), and io_uring, which does all of it.
NUMBERS = {41, 42, 43, 44, 46, 49, 50, 288, 307, 425}

# They hand sockets to others; whoever calls them is asked about.
LENDERS = {"std", "core", "alloc", "mio", "tokio", "socket2", "futures_util", "hyper", "hyper_util", "axum", "tower"}

# Who may, and why. A function's name begins with one of these.
MAY = {
    "volet_edge::egress": "the gate: after consent, to one destination, and into the ledger",
    "volet_edge::learn::desk": "the owner's page, on 127.0.0.1, while its owner asks for it",
    "retina": "a network camera's own stream (RTSP), which comes in",
    "volet_edge::source::rtsp": "the same",
}


def path(name):
    """A function's path, without what wraps it: `<&mut a::B as c::D>::e` is `a::B as c::D>::e`."""
    return re.sub(r"^[<&*\s(\[]*(?:mut |dyn |const )*[<&]*", "", name)


def calls(program):
    """Yields (caller, callee) of the whole program; callees of libc are bare names, of the kernel `syscall N`."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", "--no-addresses", program]
    number = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as listing:
        caller = ""
        for line in listing.stdout:
            if line.startswith("<") and line.endswith(">:\n"):
                caller, number = line[1:-3], None
            elif "\tmov " in line and (set_ := re.search(r"\tmov +\$0x([0-9a-f]+),%[er](?:ax|di)\b", line)):
                number = int(set_.group(1), 16)
            elif "\tsyscall" in line or "<syscall@" in line:
                if number is not None:
                    yield caller, f"syscall {number}"
                number = None
            elif "\tcall" in line or "\tjmp" in line or "\tlea" in line:
                if (at := line.find("<")) > 0:
                    yield caller, line[at + 1 : line.rfind(">")].split("@")[0]
        if listing.wait() != 0:
            sys.exit(f"objdump cannot read {program}")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    callers = collections.defaultdict(set)
    for caller, callee in calls(sys.argv[1]):
        callers[callee].add(caller)
    if len(callers) < 1000:
        sys.exit(f"{sys.argv[1]} names no functions: it has to be built with its symbols (profile release)")
    found, seen = {}, set()
    todo = [(name, ()) for name in sorted(TALK) + [f"syscall {number}" for number in sorted(NUMBERS)]]
    while todo:
        callee, way = todo.pop()
        for caller in callers.get(callee, ()):
            # A jump within a function is no call.
            if caller in seen or caller.split("+")[0] == callee.split("+")[0]:
                continue
            seen.add(caller)
            if re.split(r"\W", path(caller), maxsplit=1)[0] in LENDERS:
                todo.append((caller, (*way, callee)))
            else:
                found[caller] = (*way, callee)
    strangers = {name: way for name, way in found.items() if not path(name).startswith(tuple(MAY))}
    for name, way in sorted(strangers.items()):
        print(f"FAILED   {name}\n         reaches {' <- '.join(way)}")
    if strangers:
        sys.exit(1)
    if not any(path(name).startswith("volet_edge::egress") for name in found):
        sys.exit("not even the gate was found: this check does not see calls any more")
    print(f"good     sockets: {len(found)} functions reach one, all of them of {', '.join(sorted(MAY))}")


if __name__ == "__main__":
    main()
