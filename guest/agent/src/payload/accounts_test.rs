use super::*;
use proptest::prelude::*;

const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/sh\n\
    # comment:x:5:5::/:\n\
    broken\n\
    huge:x:4294967296:1::/:\n\
    minus:x:-1:1::/:\n\
    app:x:1000:1001:App:/home/app:/bin/sh\n\
    twin:x:1000:1:second of this uid:/twin:/bin/sh\n\
    short:x:7:8";
const GROUP_TEXT: &str = "root:x:0:\nstaff:x:50:app,other\napp:x:1001:\nwheel:x:10:root,app\nodd:x\n";

fn find_in(wanted: &str) -> Result<User, Failure> {
    look_up(wanted, Ok(PASSWD_TEXT.into()), Ok(GROUP_TEXT.into()))
}

fn user(uid: u32, gid: u32, groups: &[u32], home: &str) -> User {
    User {
        uid,
        gid,
        groups: groups.to_vec(),
        home: home.into(),
    }
}

#[test]
fn names_numbers_and_groups() {
    for (wanted, expected) in [
        ("", user(0, 0, &[0, 10], "/root")),
        ("0", user(0, 0, &[0, 10], "/root")),
        ("app", user(1000, 1001, &[1001, 50, 10], "/home/app")),
        ("1000", user(1000, 1001, &[1001, 50, 10], "/home/app")),
        ("twin", user(1000, 1, &[1], "/twin")),
        ("short", user(7, 8, &[8], "/")),
        ("app:staff", user(1000, 50, &[50], "/home/app")),
        ("app:777", user(1000, 777, &[777], "/home/app")),
        ("4321", user(4321, 0, &[0], "/")),
        ("4321:4322", user(4321, 4322, &[4322], "/")),
        (":50", user(0, 50, &[50], "/root")),
    ] {
        assert_eq!(find_in(wanted), Ok(expected), "{wanted:?}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    for (wanted, message) in [
        ("nosuch", "user nosuch: no such user in /etc/passwd"),
        ("app:nosuch", "group nosuch: no such group in /etc/group"),
        ("# comment", "user # comment: no such user in /etc/passwd"),
        ("4294967295", "user 4294967295: no such user in /etc/passwd"),
        ("+1", "user +1: no such user in /etc/passwd"),
        ("app:1:2", "group 1:2: no such group in /etc/group"),
    ] {
        let failure = find_in(wanted).unwrap_err();
        assert_eq!((failure.step, failure.message.as_str()), (Step::User, message));
    }
}

#[test]
fn numbers_need_no_files_and_names_say_why_they_fail() {
    let bare = |wanted: &str| look_up(wanted, Err(Errno::FBIG), Err(Errno::NOENT));
    assert_eq!(bare(""), Ok(user(0, 0, &[0], "/")));
    assert_eq!(bare("12:34"), Ok(user(12, 34, &[34], "/")));
    assert_eq!(
        bare("app").unwrap_err().message,
        "user app: no such user, for /etc/passwd cannot be read: EFBIG"
    );
}

proptest! {
    #[test]
    fn no_file_breaks_the_reader(
        passwd in prop::collection::vec(prop_oneof![Just(b':'), Just(b'\n'), Just(b'0'), any::<u8>()], 0..400),
        group in prop::collection::vec(prop_oneof![Just(b':'), Just(b','), Just(b'\n'), any::<u8>()], 0..400),
        wanted in "[a0:]{0,5}",
    ) {
        let _ = look_up(&wanted, Ok(passwd), Ok(group));
    }
}
