//! The filters, run here as the kernel runs them, so that any call can be tried at no risk.

use libc::{c_long, c_ulong};
use proptest::prelude::*;

use super::calls::programs;
use crate::sandbox::Confinement;

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Kill,
    Errno(i32),
    Allow,
}

const REFUSED: Answer = Answer::Errno(libc::EPERM);
const UNKNOWN: Answer = Answer::Errno(libc::ENOSYS);

/// A classic BPF program over `struct seccomp_data`: the few instructions that filters have.
fn run(program: &[seccompiler::sock_filter], data: &[u32; 16]) -> u32 {
    let (mut at, mut a) = (0, 0u32);
    loop {
        let op = &program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { op.jt } else { op.jf });
        match op.code {
            0x20 => a = data[op.k as usize / 4],
            0x54 => a &= op.k,
            0x05 => at += op.k as usize,
            0x15 => at += jump(a == op.k),
            0x25 => at += jump(a > op.k),
            0x35 => at += jump(a >= op.k),
            0x06 => return op.k,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// `None` where filters are not for this machine.
fn answer(needs: &Confinement, call: c_long, arguments: [u64; 6]) -> Option<Answer> {
    let programs = programs(needs).ok()?;
    let arch = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut data = [0; 16];
    (data[0], data[1]) = (call as u32, arch);
    for (index, argument) in arguments.into_iter().enumerate() {
        (data[4 + 2 * index], data[5 + 2 * index]) = (argument as u32, (argument >> 32) as u32);
    }
    // The gravest, as a signed number the least; of equals the one that was applied last.
    let gravest = programs.iter().rev().map(|program| run(program, &data));
    let gravest = gravest.min_by_key(|answer| (answer & 0xffff_0000) as i32)?;
    Some(match gravest & 0xffff_0000 {
        libc::SECCOMP_RET_KILL_PROCESS => Answer::Kill,
        libc::SECCOMP_RET_ERRNO => Answer::Errno((gravest & 0xffff) as i32),
        libc::SECCOMP_RET_ALLOW => Answer::Allow,
        other => panic!("{other:#x}"),
    })
}

fn is(needs: &Confinement, call: c_long, arguments: &[i64], expected: Answer) {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from as u64;
    }
    match answer(needs, call, all) {
        Some(found) => assert_eq!(found, expected, "call {call} {arguments:x?}"),
        None => println!("skipped: no filters for this machine"),
    }
}

#[test]
fn sockets_are_what_the_needs_say() {
    let none = Confinement::new();
    let address = Confinement::new().calls("192.0.2.7", 7443);
    let name = Confinement::new().calls("aggregator.example", 7443);
    let flags = i64::from(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    let (inet, inet6) = (i64::from(libc::AF_INET), i64::from(libc::AF_INET6));
    let (stream, datagram) = (i64::from(libc::SOCK_STREAM), i64::from(libc::SOCK_DGRAM));
    for family in [inet, inet6] {
        for protocol in [0, i64::from(libc::IPPROTO_TCP)] {
            is(&none, libc::SYS_socket, &[family, stream | flags, protocol], REFUSED);
            is(&address, libc::SYS_socket, &[family, stream | flags, protocol], Answer::Allow);
        }
        for protocol in [libc::IPPROTO_MPTCP, libc::IPPROTO_SCTP, libc::IPPROTO_ICMP] {
            is(&name, libc::SYS_socket, &[family, stream | flags, protocol.into()], REFUSED);
            is(&name, libc::SYS_socket, &[family, datagram | flags, protocol.into()], REFUSED);
        }
        is(&address, libc::SYS_socket, &[family, datagram | flags, 0], REFUSED);
        is(&name, libc::SYS_socket, &[family, datagram | flags, 0], Answer::Allow);
        is(&name, libc::SYS_socket, &[family, libc::SOCK_RAW.into(), 0], REFUSED);
    }
    for needs in [&none, &address, &name] {
        for family in (0..64).filter(|family| ![inet, inet6].contains(family)) {
            for kind in 0..16 {
                is(needs, libc::SYS_socket, &[family, kind, 0], REFUSED);
            }
        }
        for call in [libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_sendmsg] {
            is(needs, call, &[3], REFUSED);
        }
        let local = i64::from(libc::AF_UNIX);
        is(needs, libc::SYS_socketpair, &[local, stream | flags, 0], Answer::Allow);
        is(needs, libc::SYS_socketpair, &[local, datagram | flags, 0], REFUSED);
    }
    for needs in [&none, &address] {
        is(needs, libc::SYS_bind, &[3], REFUSED);
        is(needs, libc::SYS_sendmmsg, &[3], REFUSED);
        is(needs, libc::SYS_sendto, &[3, 1, 1, 0, 0, 0], Answer::Allow);
        for address in [1, 1 << 32] {
            is(needs, libc::SYS_sendto, &[3, 1, 1, 0, address, 16], REFUSED);
        }
        is(needs, libc::SYS_sendto, &[3, 1, 1, libc::MSG_FASTOPEN.into(), 0, 0], REFUSED);
    }
    is(&name, libc::SYS_sendmmsg, &[3, 1, 1, 0], Answer::Allow);
    is(&name, libc::SYS_sendmmsg, &[3, 1, 1, libc::MSG_FASTOPEN.into()], REFUSED);
    is(&none, libc::SYS_connect, &[3], REFUSED);
    is(&address, libc::SYS_connect, &[3], Answer::Allow);
    is(&Confinement::new().accepts(), libc::SYS_accept4, &[3], Answer::Allow);
    is(&Confinement::new().accepts(), libc::SYS_connect, &[3], REFUSED);
}

#[test]
fn a_file_is_not_made_to_send_signals() {
    let needs = Confinement::new().calls("aggregator.example", 7443).accepts().uses("/dev/video0");
    for command in [libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC, libc::F_SETLK, libc::F_OFD_SETLK] {
        is(&needs, libc::SYS_fcntl, &[3, command.into()], Answer::Allow);
    }
    // Which the crate does not name (`linux/fcntl.h`).
    let (set_signal, set_owner_ex) = (10, 15);
    for command in [libc::F_SETOWN, set_owner_ex, set_signal, libc::F_NOTIFY, libc::F_SETLEASE] {
        is(&needs, libc::SYS_fcntl, &[3, command.into(), 1], REFUSED);
    }
}

#[test]
fn threads_start_and_processes_do_not() {
    let needs = Confinement::new().calls("aggregator.example", 7443).accepts().uses("/dev/video0");
    let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    is(&needs, libc::SYS_clone, &[thread.into()], Answer::Allow);
    is(&needs, libc::SYS_clone, &[libc::SIGCHLD.into()], REFUSED);
    is(&needs, libc::SYS_clone, &[(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD).into()], REFUSED);
    for space in [libc::CLONE_NEWUSER, libc::CLONE_NEWNET, libc::CLONE_NEWNS, libc::CLONE_NEWPID] {
        is(&needs, libc::SYS_clone, &[(thread | space).into()], REFUSED);
    }
    // Its flags cannot be seen: libraries fall back from this answer to `clone`.
    is(&needs, libc::SYS_clone3, &[1], UNKNOWN);
    for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_kill, libc::SYS_tkill, libc::SYS_io_uring_setup] {
        is(&needs, call, &[1], REFUSED);
    }
    let own = i64::from(std::process::id());
    is(&needs, libc::SYS_tgkill, &[own, own, 6], Answer::Allow);
    is(&needs, libc::SYS_tgkill, &[1, 1, 9], REFUSED);
    for call in [libc::SYS_ptrace, libc::SYS_bpf, libc::SYS_keyctl, libc::SYS_mount, libc::SYS_userfaultfd] {
        is(&needs, call, &[], Answer::Kill);
    }
    // It cannot be undone, nor can privileges come back.
    for dumpable in 0..3 {
        is(&needs, libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), dumpable], REFUSED);
    }
    for call in [libc::SYS_setuid, libc::SYS_setresuid, libc::SYS_setgroups, libc::SYS_capset] {
        is(&needs, call, &[0], REFUSED);
    }
    is(&needs, libc::SYS_seccomp, &[1], UNKNOWN);
}

#[test]
fn no_memory_is_written_and_run() {
    let needs = Confinement::new();
    let (read, write, run) = (i64::from(libc::PROT_READ), i64::from(libc::PROT_WRITE), i64::from(libc::PROT_EXEC));
    is(&needs, libc::SYS_mmap, &[0, 4096, read | write], Answer::Allow);
    is(&needs, libc::SYS_mmap, &[0, 4096, read | run], Answer::Allow);
    is(&needs, libc::SYS_mmap, &[0, 4096, write | run], REFUSED);
    is(&needs, libc::SYS_mprotect, &[0, 4096, read], Answer::Allow);
    is(&needs, libc::SYS_mprotect, &[0, 4096, read | run], REFUSED);
}

#[test]
fn devices_are_asked_what_cameras_are_and_no_more() {
    let (none, camera) = (Confinement::new(), Confinement::new().uses("/dev/video0"));
    // VIDIOC_QUERYCAP
    is(&none, libc::SYS_ioctl, &[3, 0x8068_5600], REFUSED);
    is(&camera, libc::SYS_ioctl, &[3, 0x8068_5600], Answer::Allow);
    let requests: [c_ulong; 2] = [libc::TIOCSTI as c_ulong, libc::TIOCLINUX as c_ulong];
    for request in requests {
        is(&camera, libc::SYS_ioctl, &[0, request as i64], REFUSED);
    }
    is(&none, libc::SYS_ioctl, &[3, libc::FIONBIO as i64], Answer::Allow);
}

proptest! {
    /// What no list names is answered as an older kernel would: the calls of kernels to come, and those of other ABIs.
    #[test]
    fn calls_to_come_are_unknown(call in prop_oneof![600..1_000_000_i64, 0x4000_0000..0x4000_0300_i64], a in any::<[u64; 6]>()) {
        let needs = Confinement::new().calls("aggregator.example", 7443).accepts().uses("/dev/video0");
        prop_assert!(matches!(answer(&needs, call, a), None | Some(UNKNOWN)));
    }

    /// Whatever is asked for beside, none of these is ever let through.
    #[test]
    fn nothing_lets_programs_start_or_sockets_listen(
        call in prop::sample::select(vec![
            libc::SYS_execve, libc::SYS_execveat, libc::SYS_listen, libc::SYS_ptrace, libc::SYS_kill, libc::SYS_mount,
        ]),
        a in any::<[u64; 6]>(),
        (calls, accepts, camera) in any::<(bool, bool, bool)>(),
    ) {
        let mut needs = Confinement::new();
        if calls { needs = needs.calls("aggregator.example", 7443); }
        if accepts { needs = needs.accepts(); }
        if camera { needs = needs.uses("/dev/video0"); }
        prop_assert_ne!(answer(&needs, call, a), Some(Answer::Allow));
    }
}
