//! The sandbox that the agent enters before it reads anything, so that whoever takes it over has
//! little in hand: no new privileges, no core files, and none of the system calls that it never
//! makes.
//!
//! The list of calls is one of denials: a call that is forgotten in it is no worse than before, while
//! a list of permissions would end an agent with a newer libc. A denied call fails with `EPERM`.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::set_no_new_privs;

/// The parts in force, of those that [`Sandbox::enter`] applies.
#[derive(Debug, Default)]
pub struct Sandbox {
    /// Whether no program that is executed can have more privileges (`PR_SET_NO_NEW_PRIVS`, prctl(2)).
    pub no_new_privs: bool,
    /// Whether a crash leaves no memory in a file or a collector of them (`RLIMIT_CORE`, getrlimit(2)).
    pub no_core: bool,
    /// Whether the calls that are not needed fail (seccomp(2)).
    pub filter: bool,
    /// The warning about the first part that could not be had.
    pub obstacle: Option<String>,
}

impl Sandbox {
    /// Enters the sandbox, for good and for this thread. Each part is entered as far as the kernel
    /// has it; an emulator, for example, has no filter.
    #[must_use]
    pub fn enter() -> Self {
        let mut sandbox = Self::default();
        sandbox.no_core = sandbox.has("the limit of core files", no_core());
        let no_new_privs = set_no_new_privs(true).map_err(io::Error::from);
        sandbox.no_new_privs = sandbox.has("no_new_privs", no_new_privs);
        sandbox.filter = sandbox.has("the filter of system calls", filter::install());
        sandbox
    }

    /// Whether a part of the sandbox is in force; notes the first one that is not.
    fn has(&mut self, part: &str, entered: io::Result<()>) -> bool {
        match entered {
            Ok(()) => true,
            Err(error) => {
                let warning = || format!("the sandbox is incomplete, {part}: {error}");
                self.obstacle.get_or_insert_with(warning);
                false
            }
        }
    }
}

/// A limit of 1 byte, not 0: where `core_pattern` is a pipe, the kernel disregards every limit but 1, at which it
/// dumps nothing (core(5); `do_coredump` in fs/coredump.c). Nor is there a file of 1 byte: the kernel writes none
/// that is smaller than a page.
fn no_core() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(1), maximum: Some(1) })?)
}

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64"
))]
mod filter {
    use std::ffi::c_long;
    use std::io;

    use seccompiler::{Error, apply_filter, sock_filter};

    /// System calls that the agent needs on no architecture. The unit of systemd denies the same
    /// but for execve(2), by which it starts the agent, and for pidfd_getfd(2), by which that has
    /// adopted the descriptor of `--trigger-fd` by now (tests/packaging/calls.py).
    const DENIED: &[c_long] = &[
        // Other programs and processes; there is one thread.
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_personality,
        libc::SYS_memfd_create,
        // Mounts and namespaces.
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fspick,
        libc::SYS_mount_setattr,
        libc::SYS_unshare,
        libc::SYS_setns,
        // What has had most of the holes of the kernel.
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_mbind,
        libc::SYS_move_pages,
        libc::SYS_set_mempolicy,
        // The machine.
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_syslog,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_vhangup,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        // Users, and files past their permissions.
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setfsuid,
        libc::SYS_setfsgid,
        libc::SYS_setgroups,
        libc::SYS_capset,
        libc::SYS_fchown,
        libc::SYS_fchownat,
        libc::SYS_mknodat,
        libc::SYS_fanotify_init,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
    ];

    #[cfg(target_arch = "x86_64")]
    const DENIED_HERE: &[c_long] = &[
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_mknod,
        libc::SYS_migrate_pages,
        libc::SYS_kexec_file_load,
        libc::SYS_uselib,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
    ];
    #[cfg(target_arch = "arm")]
    const DENIED_HERE: &[c_long] = &[
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_chown32,
        libc::SYS_lchown32,
        libc::SYS_fchown32,
        libc::SYS_mknod,
        libc::SYS_uselib,
        libc::SYS_setuid32,
        libc::SYS_setgid32,
        libc::SYS_setreuid32,
        libc::SYS_setregid32,
        libc::SYS_setresuid32,
        libc::SYS_setresgid32,
        libc::SYS_setfsuid32,
        libc::SYS_setfsgid32,
        libc::SYS_setgroups32,
        // kexec_file_load(2) and clock_settime64(2), which the crate does not name.
        401,
        404,
    ];
    #[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
    const DENIED_HERE: &[c_long] = &[
        libc::SYS_migrate_pages,
        // kexec_file_load(2), which the crate does not name for musl.
        294,
    ];

    /// `AUDIT_ARCH_…` of linux/audit.h: the machine of elf.h, and flags for 64 bits and little-endian.
    const MACHINE: u32 = if cfg!(target_arch = "x86_64") {
        0xc000_003e
    } else if cfg!(target_arch = "aarch64") {
        0xc000_00b7
    } else if cfg!(target_arch = "riscv64") {
        0xc000_00f3
    } else {
        0x4000_0028
    };
    /// The calls of the x32 ABI, which count as those of x86_64 (syscall(2)); no other numbers are as
    /// large.
    const X32: u32 = 0x4000_0000;

    // Offsets in `struct seccomp_data`, seccomp(2).
    const NUMBER_AT: u32 = 0;
    const MACHINE_AT: u32 = 4;
    // Instructions, linux/bpf_common.h: load a word; jump if equal; if greater or equal; return.
    const LOAD: u16 = 0x20;
    const IF_EQUAL: u16 = 0x15;
    const IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | 1;
    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    /// Refuses the denied calls from now on, and any call by the numbers of another machine.
    pub(super) fn install() -> io::Result<()> {
        apply_filter(&program()).map_err(|error| match error {
            Error::Prctl(error) | Error::Seccomp(error) => error,
            _ => io::ErrorKind::Other.into(),
        })
    }

    /// The program of the filter, made from its end: every jump leads to the last instruction.
    pub(super) fn program() -> Vec<sock_filter> {
        let step = |code, k| sock_filter { code, jt: 0, jf: 0, k };
        let mut program = vec![step(RETURN, REFUSED), step(RETURN, ALLOWED)];
        let mut behind = 1;
        for number in DENIED.iter().chain(DENIED_HERE) {
            program.push(sock_filter { jt: behind, ..step(IF_EQUAL, low(*number)) });
            behind += 1;
        }
        program.push(sock_filter { jt: behind, ..step(IF_AT_LEAST, X32) });
        program.push(step(LOAD, NUMBER_AT));
        program.push(sock_filter { jf: behind + 2, ..step(IF_EQUAL, MACHINE) });
        program.push(step(LOAD, MACHINE_AT));
        program.reverse();
        program
    }

    /// The number of a call, as the kernel compares it.
    const fn low(number: c_long) -> u32 {
        let [a, b, c, d, ..] = number.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    #[cfg(test)]
    mod tests {
        use std::collections::BTreeSet;

        use super::*;

        /// The verdict of the program, as the kernel comes to it (bpf(4)).
        fn verdict(program: &[sock_filter], machine: u32, number: u32) -> u32 {
            let (mut at, mut word) = (0, 0);
            loop {
                let step = &program[at];
                at += 1;
                let jump = |taken| usize::from(if taken { step.jt } else { step.jf });
                match step.code {
                    LOAD => word = if step.k == NUMBER_AT { number } else { machine },
                    IF_EQUAL => at += jump(word == step.k),
                    IF_AT_LEAST => at += jump(word >= step.k),
                    _ => return step.k,
                }
            }
        }

        #[test]
        fn denied_are_the_listed_calls_those_of_x32_and_of_other_machines() {
            let program = program();
            let denied = |machine, number| match verdict(&program, machine, number) {
                REFUSED => true,
                ALLOWED => false,
                other => panic!("{other:#x}"),
            };
            let listed: BTreeSet<u32> =
                DENIED.iter().chain(DENIED_HERE).map(|it| low(*it)).collect();
            assert_eq!(listed.len(), DENIED.len() + DENIED_HERE.len());
            let seen: BTreeSet<u32> = (0..1000).filter(|it| denied(MACHINE, *it)).collect();
            assert_eq!(seen, listed);
            let needed = [libc::SYS_read, libc::SYS_epoll_pwait, libc::SYS_adjtimex];
            for number in needed.map(low) {
                assert!(!denied(MACHINE, number));
                assert!(denied(MACHINE, number | X32));
                assert!(denied(MACHINE ^ 0x8000_0000, number));
            }
        }
    }
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64"
)))]
mod filter {
    /// There is no list of numbers for this machine.
    pub(super) fn install() -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::thread;

    use rustix::io::Errno;
    use rustix::process::chroot;
    use rustix::thread::move_into_link_name_space;

    use super::*;

    /// Whether a call was refused that the kernel would have allowed to everyone, or to root.
    fn refused<T>(result: io::Result<T>) -> bool {
        result.err().and_then(|error| error.raw_os_error()) == Some(Errno::PERM.raw_os_error())
    }

    #[test]
    fn thread_in_the_sandbox_is_refused_what_the_list_denies_and_nothing_else() {
        let inside = || {
            let sandbox = Sandbox::enter();
            assert!(sandbox.no_new_privs && sandbox.no_core && sandbox.filter, "{sandbox:?}");
            assert!(sandbox.obstacle.is_none());
            // Neither fork nor exec.
            assert!(refused(Command::new("/bin/true").spawn()));
            assert!(refused::<()>(Err(Command::new("/bin/true").exec())));
            let file =
                std::env::temp_dir().join(format!("linkbeat-sandbox-{}", std::process::id()));
            fs::write(&file, "").unwrap();
            let owner = fs::metadata(&file).unwrap().uid();
            assert!(refused(chown(&file, Some(owner), None)));
            fs::remove_file(&file).unwrap();
            let network = fs::File::open("/proc/thread-self/ns/net").unwrap();
            let entered = move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&network),
                Some(rustix::thread::LinkNameSpaceType::Network),
            );
            assert!(refused(entered.map_err(io::Error::from)));
            assert!(refused(chroot("/").map_err(io::Error::from)));
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"));
        };
        thread::spawn(inside).join().unwrap();
    }

    #[test]
    fn first_part_that_cannot_be_had_is_the_warning() {
        let mut sandbox = Sandbox::default();
        assert!(sandbox.has("one", Ok(())));
        assert!(!sandbox.has("two", Err(Errno::NOSYS.into())));
        assert!(!sandbox.has("three", Err(Errno::PERM.into())));
        let text = sandbox.obstacle.unwrap();
        assert!(text.starts_with("the sandbox is incomplete, two: "), "{text}");
    }
}
