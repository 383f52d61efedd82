//! Images made to hurt: what the agent touches in a root is never where a link of it leads, and never waited for.
use crate::sandbox::{Sandbox, sh};
use caisson_frame::agent::{exited::End, failed::Step};

#[test]
fn mount_points_are_made_where_the_image_lacks_them() {
    let outcome = Sandbox::new().sh("ls -d /proc/self /sys/class /dev/null; stat -c %a /tmp; echo x > /tmp/x");
    assert_eq!(
        (outcome.end(), outcome.out()),
        (End::ExitCode(0), "/dev/null\n/proc/self\n/sys/class\n1777\n")
    );
}

#[test]
fn links_in_the_place_of_mount_points_are_replaced_not_followed() {
    let image = "mkdir elsewhere; ln -s /elsewhere proc; ln -s ../../../../.. sys; ln -s /etc dev; ln -s /proc/1/root tmp";
    let outcome = Sandbox::with_image(image).sh("ls /elsewhere; ls -d /proc/self /sys/class /dev/null; ls /etc/null 2>&1");
    assert!(
        outcome.out().starts_with("/dev/null\n/proc/self\n/sys/class\n"),
        "{}",
        outcome.out()
    );
    assert!(
        outcome.out().contains("No such file"),
        "nothing was mounted over /etc: {}",
        outcome.out()
    );
}

#[test]
fn files_in_the_place_of_mount_points_are_replaced() {
    let outcome = Sandbox::with_image("echo x > proc; mkfifo sys; touch dev tmp").sh("ls -d /proc/self /sys/class /dev/null");
    assert_eq!(outcome.out(), "/dev/null\n/proc/self\n/sys/class\n");
}

#[test]
fn account_files_are_read_with_care() {
    let by_name = |image: &str| {
        let mut request = sh("true");
        request.user = "app".into();
        let failed = Sandbox::with_image(image).start(request).unwrap_err();
        assert_eq!(failed.step(), Step::User);
        failed.message
    };
    let cannot = "user app: no such user, for /etc/passwd cannot be read";
    assert_eq!(by_name("rm etc/passwd; mkfifo etc/passwd"), format!("{cannot}: EINVAL"));
    assert_eq!(by_name("ln -sf /dev/zero etc/passwd"), format!("{cannot}: EXDEV"));
    assert_eq!(by_name("ln -sf /proc/self/environ etc/passwd"), format!("{cannot}: EXDEV"));
    assert_eq!(by_name("truncate -s 1T etc/passwd"), format!("{cannot}: EFBIG"));
    assert_eq!(by_name("rm etc/passwd; mkdir etc/passwd"), format!("{cannot}: EINVAL"));
    assert_eq!(by_name("rm -r etc"), format!("{cannot}: ENOENT"));
    assert_eq!(by_name("rm -r etc; ln -s etc etc"), format!("{cannot}: ELOOP"));
}

#[test]
fn numbers_need_none_of_these_files() {
    let mut request = sh("grep Uid /proc/self/status");
    request.user = "77".into();
    let image = "rm etc/passwd etc/group; mkfifo etc/passwd; ln -s /dev/zero etc/group";
    assert_eq!(Sandbox::with_image(image).run(request).out(), "Uid:\t77\t77\t77\t77\n");
}

#[test]
fn localhost_resolves_also_without_a_hosts_file() {
    let hosts = |image: &str| Sandbox::with_image(image).sh("cat /etc/hosts; hostname").out().to_owned();
    let ours = "127.0.0.1 localhost\n::1 localhost\n127.0.0.1 box\nbox\n";
    assert_eq!(hosts(""), ours);
    assert_eq!(hosts("touch etc/hosts"), ours);
    assert_eq!(hosts("rm -r etc"), ours);
    assert_eq!(hosts("echo 1.2.3.4 x > etc/hosts"), "1.2.3.4 x\nbox\n");
    for hostile in [
        "mkfifo etc/hosts",
        "ln -s /dev/null etc/hosts",
        "rm -r etc; ln -s /proc/self etc",
        "mkdir etc/hosts",
    ] {
        assert_eq!(Sandbox::with_image(hostile).sh("true").end(), End::ExitCode(0), "{hostile}");
    }
}

#[test]
fn a_program_opens_its_streams_again_by_name() {
    let mut request = sh("echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin");
    request.user = "app".into();
    let outcome = Sandbox::new().run(request);
    assert_eq!((outcome.out(), outcome.err()), ("out\n", "err\n"));
}
