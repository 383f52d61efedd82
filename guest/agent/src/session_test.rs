use super::*;
use caisson_frame::agent::Rlimits;

fn valid() -> Exec {
    let rlimits = Some(Rlimits { open_files: 1024 });
    Exec {
        args: vec!["true".into()],
        env: vec!["A=b=c".into(), "EMPTY=".into()],
        cwd: "/".into(),
        rlimits,
        ..Exec::default()
    }
}

#[test]
fn a_request_is_refused_by_the_name_of_its_field() {
    assert_eq!(check(&valid()), Ok(()));
    type Spoil = fn(&mut Exec);
    let cases: [(Spoil, &str); 8] = [
        (|exec| exec.args.clear(), "args: empty"),
        (|exec| exec.args.push("a\0b".into()), "args[1]: holds a NUL byte"),
        (|exec| exec.env.push("X=\0".into()), "env[2]: holds a NUL byte"),
        (|exec| exec.env.push("X".into()), "env[2]: must be NAME=value"),
        (|exec| exec.env.push("=x".into()), "env[2]: must be NAME=value"),
        (|exec| exec.cwd = "tmp".into(), "cwd: must be absolute"),
        (|exec| exec.user = "a\0".into(), "user: holds a NUL byte"),
        (|exec| exec.rlimits = None, "rlimits.open_files: missing"),
    ];
    for (break_it, message) in cases {
        let mut exec = valid();
        break_it(&mut exec);
        let failure = check(&exec).unwrap_err();
        assert_eq!((failure.step, failure.message.as_str()), (Step::Request, message));
    }
}
