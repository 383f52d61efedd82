use super::*;
use rustix::fs::{MemfdFlags, memfd_create};

fn record() -> Record {
    let file = memfd_create("console", MemfdFlags::CLOEXEC).expect("a memfd");
    Record {
        file: File::from(file),
        length: 0,
    }
}

fn text_of(record: &Record) -> String {
    let mut bytes = vec![0; record.length];
    record.file.read_exact_at(&mut bytes, 0).expect("as long as it says");
    assert_eq!(record.file.metadata().expect("metadata").len(), record.length as u64);
    String::from_utf8(bytes).expect("text")
}

#[test]
fn nothing_is_left_that_a_terminal_would_obey() {
    let said = b"[    0.1] Linux\r\nred: \x1b[31m \x07 \\ \x7f \xc2\x9b\ttab\rover\n";
    let wanted = "[    0.1] Linux\nred: \\x1b[31m \\x07 \\x5c \\x7f \\xc2\\x9b\ttabover\n";
    assert_eq!(plain(said), wanted.as_bytes());
}

#[test]
fn of_a_guest_that_says_too_much_the_beginning_and_the_end_stay() {
    let mut record = record();
    let line = |number: usize| format!("{number:063}\n");
    for number in 0..100_000 {
        record.take(line(number).as_bytes()).expect("kept");
        assert!(record.length <= MOST_BYTES);
    }
    // Four times as long as it was said.
    record.take(&[0x1b; READ_BYTES]).expect("kept");
    let text = text_of(&record);
    assert!(text.len() <= MOST_BYTES);
    assert!(text.starts_with(&(line(0) + &line(1))));
    assert_eq!(text.matches("left out").count(), 1);
    assert!(text.contains(&(line(99_998) + &line(99_999) + "\\x1b\\x1b")));
}

#[test]
fn the_file_is_whole_when_the_console_is_dropped_and_old_ones_go() {
    let folder = std::env::temp_dir().join(format!("caisson-console-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("consoles")).expect("a folder");
    let opened = File::open(folder.join("consoles")).expect("the folder");
    let worker = Owner {
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
    };
    let consoles = Consoles::new(OwnedFd::from(opened), &folder, worker);
    let mut paths = Vec::new();
    for number in 0..KEPT_FILES + 3 {
        let (console, theirs) = consoles.make(&format!("{number:06x}")).expect("a console");
        rustix::io::write(&theirs, format!("machine {number}\n").as_bytes()).expect("said");
        drop(theirs);
        paths.push(console.path.clone());
        drop(console);
        let last = std::fs::read_to_string(&paths[number]).expect("its file");
        assert_eq!(last, format!("machine {number}\n"));
    }
    let left = paths.iter().filter(|path| path.exists()).count();
    assert_eq!(left, KEPT_FILES);
    assert!(!paths[0].exists());
    std::fs::remove_dir_all(&folder).expect("removed");
}
