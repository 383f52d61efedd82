use crate::sandbox::{Sandbox, exec, sh};
use caisson_frame::agent::{agent_frame::Frame, exited::End, failed::Step};

#[test]
fn exit_codes_are_the_programs_own() {
    for code in [0, 1, 42, 126, 127, 255] {
        assert_eq!(Sandbox::new().sh(&format!("exit {code}")).end(), End::ExitCode(code));
    }
}

#[test]
fn a_program_that_signals_itself_dies_of_it() {
    for number in [
        libc::SIGSEGV,
        libc::SIGTERM,
        libc::SIGKILL,
        libc::SIGABRT,
        libc::SIGPIPE,
        libc::SIGUSR1,
    ] {
        let outcome = Sandbox::new().sh(&format!("kill -{number} $$; sleep 5"));
        assert_eq!(outcome.end(), End::Signal(number as u32));
        assert!(!outcome.exited.unwrap().core_dumped);
    }
}

#[test]
fn signals_from_the_worker_reach_the_main_process_alone() {
    let mut sandbox = Sandbox::new();
    sandbox
        .start(sh("trap 'echo got; exit 7' TERM; sleep 60 & echo up; wait"))
        .unwrap();
    assert!(matches!(sandbox.next(), Some(Frame::Output(output)) if output.data == b"up\n"));
    sandbox.signal(libc::SIGTERM as u32);
    assert!(matches!(sandbox.next(), Some(Frame::Output(output)) if output.data == b"got\n"));
    assert_eq!(sandbox.finish().end(), End::ExitCode(7));
}

#[test]
fn signals_to_the_group_reach_what_the_main_process_waits_for() {
    let mut sandbox = Sandbox::new();
    sandbox
        .start(sh("trap 'exit 7' INT; sh -c 'echo up; exec sleep 60'; exit 8"))
        .unwrap();
    assert!(matches!(sandbox.next(), Some(Frame::Output(output)) if output.data == b"up\n"));
    sandbox.signal_group(libc::SIGINT as u32);
    assert_eq!(sandbox.finish().end(), End::ExitCode(7));
}

#[test]
fn a_signal_right_behind_exec_waits_for_the_program() {
    for send in [Sandbox::signal, Sandbox::signal_group] {
        let mut sandbox = Sandbox::new();
        sandbox.send(caisson_frame::agent::host_frame::Frame::Exec(exec(&["sleep", "60"])));
        send(&mut sandbox, libc::SIGKILL as u32);
        assert!(matches!(sandbox.next(), Some(Frame::Started(_))));
        assert_eq!(sandbox.finish().end(), End::Signal(9));
    }
}

#[test]
fn what_cannot_be_executed_fails_by_name() {
    let image = "mkdir d; echo x > plain; echo '#!/bin/nope' > script; echo junk > junk; chmod 755 script junk; mkdir -p a b; \
                 echo x > a/tool; printf '#!/bin/sh\\necho b' > b/tool; chmod 755 b/tool";
    let failing = |args: &[&str], path: &str| {
        let mut request = exec(args);
        request.env = vec![format!("PATH={path}")];
        let failed = Sandbox::with_image(image).start(request).unwrap_err();
        assert_eq!((failed.step(), failed.process_id), (Step::Exec, 1));
        (failed.errno, failed.message)
    };
    for (name, errno, message) in [
        ("/bin/nope", libc::ENOENT, "exec /bin/nope: ENOENT"),
        ("nope", libc::ENOENT, "exec nope: ENOENT: not found in PATH"),
        ("/d", libc::EACCES, "exec /d: EACCES"),
        ("/plain", libc::EACCES, "exec /plain: EACCES"),
        ("/plain/x", libc::ENOTDIR, "exec /plain/x: ENOENT"),
        (
            "/script",
            libc::ENOENT,
            "exec /script: ENOENT: the file is there, its interpreter or loader is not",
        ),
        (
            "/junk",
            libc::ENOEXEC,
            "exec /junk: ENOEXEC: not a program of this machine, and without a first line #!",
        ),
    ] {
        let (got, said) = failing(&[name], "/bin");
        assert_eq!(said, message);
        assert!(got == errno || errno == libc::ENOTDIR && got == libc::ENOENT, "{name}: {got}");
    }
    assert_eq!(failing(&["tool"], "/nowhere:/a").1, "exec /a/tool: EACCES");
    let mut found = exec(&["tool"]);
    found.env = vec!["PATH=/a:/nowhere:/b".into()];
    assert_eq!(
        Sandbox::with_image(image).run(found).out(),
        "b\n",
        "a file that may not be executed is passed over"
    );
}

#[test]
fn user_group_home_and_path() {
    let id = |user: &str| {
        let mut request = sh("id -u; id -g; grep Groups /proc/self/status; echo $HOME; echo $PATH");
        request.user = user.into();
        Sandbox::new().run(request).out().replace('\n', " ")
    };
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ";
    assert_eq!(id(""), format!("0 0 Groups:\t0  /root {path}"));
    assert_eq!(id("app"), format!("1000 1001 Groups:\t50 1001  /home/app {path}"));
    assert_eq!(id("1000"), format!("1000 1001 Groups:\t50 1001  /home/app {path}"));
    assert_eq!(id("app:staff"), format!("1000 50 Groups:\t50  /home/app {path}"));
    assert_eq!(id("4321:99"), format!("4321 99 Groups:\t99  / {path}"));
    for (user, message) in [
        ("nosuch", "user nosuch: no such user in /etc/passwd"),
        ("70000", "user 70000:0: beyond the ids of a sandbox"),
    ] {
        let mut request = sh("true");
        request.user = user.into();
        let failed = Sandbox::new().start(request).unwrap_err();
        assert_eq!((failed.step(), failed.message.as_str()), (Step::User, message));
    }
}

#[test]
fn the_working_directory_is_made_for_the_user() {
    let run = |cwd: &str, user: &str, image: &str| {
        let mut request = sh("pwd; stat -c '%U %a' .; stat -c %U ..");
        (request.cwd, request.user) = (cwd.into(), user.into());
        let mut sandbox = Sandbox::with_image(image);
        sandbox
            .start(request)
            .map(|_| sandbox.finish().out().replace('\n', " "))
            .map_err(|failed| (failed.step(), failed.message))
    };
    assert_eq!(run("/srv/a/b", "app", "mkdir srv").unwrap(), "/srv/a/b app 755 app ");
    assert_eq!(
        run("/link/a", "app", "mkdir there; ln -s /there link").unwrap(),
        "/there/a app 755 root "
    );
    assert_eq!(run("/file", "", "touch file"), Err((Step::Cwd, "cwd /file: ENOTDIR".into())));
    assert_eq!(
        run("/dangling", "", "ln -s /nowhere dangling"),
        Err((Step::Cwd, "cwd /dangling: EEXIST".into()))
    );
    assert_eq!(
        run("/proc/self/fd/1", "", ""),
        Err((Step::Cwd, "cwd /proc/self/fd/1: ELOOP".into()))
    );
}

#[test]
fn limits_dispositions_and_descriptors_start_clean() {
    let mut request = sh(
        "ulimit -n; ulimit -c; grep -E 'Sig(Blk|Ign|Cgt)|NoNewPrivs|Seccomp:|Cap' /proc/self/status; ls /proc/self/fd | wc -l",
    );
    request.rlimits = Some(caisson_frame::agent::Rlimits { open_files: 77 });
    let outcome = Sandbox::new().run(request);
    let out = outcome.out();
    assert!(out.starts_with("77\n0\n"), "{out}");
    for line in [
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
    for set in ["Inh", "Prm", "Eff", "Bnd", "Amb"] {
        assert!(out.contains(&format!("Cap{set}:\t0000000000000000")), "{set} in {out}");
    }
    assert!(out.ends_with("\n4\n"), "0, 1, 2 and the folder itself: {out}");
}

#[test]
fn what_the_program_leaves_behind_ends_with_it() {
    let started = std::time::Instant::now();
    let outcome = Sandbox::new().sh("sleep 60 & setsid sleep 60 & (sleep 60 &) ; echo done");
    assert_eq!((outcome.end(), outcome.out()), (End::ExitCode(0), "done\n"));
    assert!(started.elapsed().as_secs() < 20, "a background child held the run");
}

#[test]
fn orphans_are_reaped() {
    let script = "i=0; while [ $i -lt 300 ]; do (sh -c 'exit 0' & ) ; i=$((i+1)); done
        i=0; while ps -o stat | grep -q Z && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; ps -o stat | grep -c Z";
    assert_eq!(Sandbox::with_pids_limit(64).sh(script).out(), "0\n");
}

#[test]
fn a_fork_bomb_stays_within_its_limit() {
    let mut sandbox = Sandbox::with_pids_limit(20);
    let mut request = sh("f() { f | f & }; f; sleep 1; echo survived");
    request.output_credit_bytes = 1 << 30;
    sandbox.start(request).unwrap();
    sandbox.signal(libc::SIGCONT as u32);
    std::thread::sleep(std::time::Duration::from_millis(500));
    sandbox.signal(libc::SIGKILL as u32);
    assert!(sandbox.finish().exited.is_some());
}

#[test]
fn one_sandbox_runs_many_programs() {
    let mut sandbox = Sandbox::new();
    for round in 0..5 {
        let outcome = sandbox.sh(&format!("echo {round}; echo x >> /count; wc -l < /count"));
        assert_eq!(outcome.out(), format!("{round}\n{}\n", round + 1));
    }
    assert!(sandbox.start(exec(&["/bin/nope"])).is_err());
    assert_eq!(sandbox.sh("exit 3").end(), End::ExitCode(3));
}
