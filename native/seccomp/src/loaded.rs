//! For tests, as root: the filters that the kernel holds a program of ours to, as they are when it ends.
use super::Instruction;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr::null_mut;

const GET_FILTER: libc::c_uint = 0x420c;

/// Newest first. Panics where the kernel does not tell (it needs CONFIG_CHECKPOINT_RESTORE).
pub fn at_the_end_of(command: &mut Command) -> Vec<Vec<Instruction>> {
    let traced = || ask(libc::PTRACE_TRACEME, 0, 0, null_mut()).map(drop);
    // SAFETY: between fork and exec only a system call is made.
    let mut child = unsafe { command.pre_exec(traced) }.spawn().expect("the program starts");
    let pid = child.id() as i32;
    wait(pid);
    ask(libc::PTRACE_SETOPTIONS, pid, 0, libc::PTRACE_O_TRACEEXIT as *mut _).expect("options");
    while !stopped_at_exit(run_on(pid)) {}
    let filters = (0..).map_while(|index| filter(pid, index)).collect();
    end(&mut child, pid);
    filters
}

fn filter(pid: i32, index: usize) -> Option<Vec<Instruction>> {
    let count = match ask(GET_FILTER, pid, index, null_mut()) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return None,
        count => count.expect("the kernel tells the filters of a process") as usize,
    };
    let nothing = Instruction {
        code: 0,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let mut filter = vec![nothing; count];
    ask(GET_FILTER, pid, index, filter.as_mut_ptr().cast()).expect("the filter");
    Some(filter)
}

fn run_on(pid: i32) -> i32 {
    ask(libc::PTRACE_CONT, pid, 0, null_mut()).expect("it goes on");
    wait(pid)
}

fn stopped_at_exit(status: i32) -> bool {
    assert!(libc::WIFSTOPPED(status), "the program ended without a stop: {status:#x}");
    status >> 8 == libc::SIGTRAP | libc::PTRACE_EVENT_EXIT << 8
}

fn end(child: &mut Child, pid: i32) {
    ask(libc::PTRACE_CONT, pid, 0, null_mut()).expect("it ends");
    child.wait().expect("it ended");
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    status
}

fn ask(request: libc::c_uint, pid: i32, address: usize, data: *mut libc::c_void) -> io::Result<i64> {
    // SAFETY: where `data` is a pointer, it is to as much memory as the request writes; the system call itself, for the C library's
    // wrapper takes other requests for reads of memory.
    match unsafe { libc::syscall(libc::SYS_ptrace, u64::from(request), pid, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}
