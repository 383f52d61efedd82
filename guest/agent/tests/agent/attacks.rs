//! What a program with uid 0 can reach of the nested init, the agent and the machine.
use crate::sandbox::{Sandbox, sh};
use caisson_frame::agent::exited::End;

#[test]
fn the_nested_init_is_not_even_listed() {
    let outcome = Sandbox::new().sh(
        "ls -d /proc/1 2>&1; ls /proc | grep -c '^1$'; for f in mem fd exe root environ maps mountinfo status \
         cmdline ns/pid; do cat /proc/1/$f 2>&1 | head -c 60; done; ls /proc/1/fd 2>&1",
    );
    let out = outcome.out();
    assert!(out.contains("/proc/1: No such file") && out.contains("\n0\n"), "{out}");
    assert!(!out.contains("agent"), "{out}");
    assert_eq!(out.matches("can't open '/proc/1/").count(), 10, "{out}");
}

#[test]
fn the_nested_init_takes_no_signal_and_no_limit() {
    let outcome = Sandbox::new().sh(
        "kill -9 1; kill -TERM 1; kill -STOP 1; renice 19 1 2>&1; chrt -i -p 0 1 2>&1; \
         taskset -p 1 1 2>&1; echo still here",
    );
    assert!(outcome.out().ends_with("still here\n"), "{}", outcome.out());
    assert!(outcome.out().contains("Operation not permitted"), "{}", outcome.out());
    assert_eq!(outcome.end(), End::ExitCode(0));
}

#[test]
fn killing_everything_kills_only_what_is_the_programs() {
    assert_eq!(Sandbox::new().sh("sleep 60 & kill -9 -1; exit 5").end(), End::ExitCode(5));
}

#[test]
fn nothing_of_the_agent_shows() {
    let outcome = Sandbox::new().sh(
        "ls /proc | grep -E '^[0-9]+$' | wc -l; ls -l /proc/self/fd; cat /proc/self/mountinfo; \
         cat /proc/net/unix; ls /rootfs /agent /old 2>&1; ls -a /",
    );
    let out = outcome.out();
    assert!(!out.contains("t-agent-") && !out.contains("socket:"), "{out}");
    assert_eq!(out.matches("No such file").count(), 3, "{out}");
}

#[test]
fn masks_and_read_only_paths_hold() {
    let script = "cat /proc/keys /proc/timer_list /proc/kallsyms /proc/cmdline /proc/interrupts /proc/partitions | wc -c; \
         ls /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v :$ | wc -w; \
         echo 1 > /proc/sys/kernel/panic; mkdir /sys/x; mkdir /sys/kernel/x";
    let outcome = Sandbox::new().sh(script);
    assert_eq!(outcome.out(), "0\n0\n");
    assert_eq!(
        outcome
            .err()
            .lines()
            .filter(|line| line.contains("Read-only") || line.contains("denied"))
            .count(),
        3,
        "{}",
        outcome.err()
    );
}

#[test]
fn system_calls_that_lead_out_are_refused() {
    let outcome = Sandbox::new().sh("mount -t tmpfs none /tmp; umount /proc; unshare -r true; unshare -m true; chroot / true; \
         mknod /tmp/d b 7 0; hostname evil; swapoff -a; insmod /bin/sh; chown 5 /etc/passwd; nsenter -t 1 -m true; date -s 2000-01-01; dmesg");
    let refused = outcome
        .err()
        .lines()
        .filter(|line| line.contains("not permitted") || line.contains("ermission denied"))
        .count();
    assert!(refused >= 11, "{refused} in {}", outcome.err());
    assert_eq!(Sandbox::new().sh("hostname evil; hostname").out(), "box\n");
}

#[test]
fn the_root_is_closed_upwards() {
    let outcome = Sandbox::new().sh(
        "cd /; for i in 1 2 3 4 5; do cd ..; done; ls -d agent 2>&1; ls /proc/self/root/ /proc/self/cwd/ | grep -c agent; true",
    );
    assert!(
        outcome.out().contains("No such file") && outcome.out().ends_with("\n0\n"),
        "{}",
        outcome.out()
    );
}

#[test]
fn devices_are_the_harmless_ones() {
    let outcome = Sandbox::new()
        .sh("cd /dev; for d in *; do [ -b $d -o -c $d ] && echo $d; done; mknod /dev/sda b 8 0 2>/dev/null; cat /dev/sda 2>&1");
    assert!(
        outcome
            .out()
            .starts_with("full\nnull\nrandom\nstdin\ntty\nurandom\nzero\ncat: can't open"),
        "{}",
        outcome.out()
    );
}

#[test]
fn a_signal_number_of_the_agents_own_children_means_nothing_inside() {
    // Every number that a pid of the agent's or the machine's namespace could have: none answers but the program's own.
    let outcome =
        Sandbox::new().sh("n=0; i=2; while [ $i -lt 3000 ]; do kill -0 $i 2>/dev/null && n=$((n+1)); i=$((i+1)); done; echo $n");
    assert_eq!(outcome.out(), "1\n");
}

#[test]
fn a_later_program_of_the_sandbox_cannot_be_seen_by_an_earlier_one() {
    let mut sandbox = Sandbox::new();
    sandbox
        .start(sh("sleep 0.5; ls /proc | grep -cE '^[0-9]+$'; ps | grep -c '[s]ecret'"))
        .unwrap();
    let mut second = sh("exec -a secret sleep 2 || exec sleep 2");
    second.process_id = 2;
    sandbox.send(caisson_frame::agent::host_frame::Frame::Exec(second));
    let mut out = Vec::new();
    loop {
        match sandbox.next() {
            Some(caisson_frame::agent::agent_frame::Frame::Output(output)) if output.process_id == 1 => out.extend(output.data),
            Some(caisson_frame::agent::agent_frame::Frame::Exited(exited)) if exited.process_id == 1 => break,
            Some(_) => {}
            None => panic!("the sandbox ended"),
        }
    }
    assert!(String::from_utf8(out).unwrap().ends_with("\n0\n"));
}
