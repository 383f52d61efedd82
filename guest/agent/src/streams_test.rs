use super::*;
use rustix::pipe::{PipeFlags, pipe_with};

fn input(offset: u64, data: &[u8], end: bool) -> Input {
    Input {
        process_id: 1,
        offset,
        data: data.to_vec(),
        end,
    }
}

fn stream() -> (OwnedFd, InputStream) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    (reader, InputStream::new(Some(writer)))
}

#[test]
fn input_reaches_the_pipe_and_credit_comes_back() {
    let (reader, mut stdin) = stream();
    stdin.take(input(0, b"hello", false)).unwrap();
    stdin.write().unwrap();
    let mut outbox = Outbox::default();
    stdin.give_credit(1, &mut outbox);
    assert!(outbox.backlog() > 0);
    let mut buffer = [0; 16];
    assert_eq!(rustix::io::read(&reader, &mut buffer), Ok(5));
    stdin.take(input(5, b"", true)).unwrap();
    assert_eq!(rustix::io::read(&reader, &mut buffer), Ok(0), "the end closes the pipe");
}

#[test]
fn what_does_not_follow_or_exceeds_its_credit_is_a_violation() {
    let (_reader, mut stdin) = stream();
    assert_eq!(stdin.take(input(1, b"x", false)), Err(Violation::InputOffset));
    assert_eq!(
        stdin.take(input(0, &vec![0; INPUT_CREDIT as usize + 1], false)),
        Err(Violation::InputCredit)
    );
    stdin.take(input(0, b"x", true)).unwrap();
    assert_eq!(
        stdin.take(input(1, b"y", false)),
        Err(Violation::InputOffset),
        "nothing comes after the end"
    );
    assert_eq!(
        InputStream::new(None).take(input(0, b"x", false)),
        Err(Violation::InputCredit),
        "a process without input"
    );
}

#[test]
fn a_closed_reader_is_told_once_and_what_still_comes_is_dropped() {
    let (reader, mut stdin) = stream();
    drop(reader);
    stdin.take(input(0, b"hello", false)).unwrap();
    stdin.write().unwrap();
    let mut outbox = Outbox::default();
    stdin.give_credit(1, &mut outbox);
    let told = outbox.backlog();
    assert!(told > 0);
    stdin.take(input(5, b"more", false)).unwrap();
    stdin.write().unwrap();
    stdin.give_credit(1, &mut outbox);
    assert_eq!(outbox.backlog(), told);
}

#[test]
fn output_stops_where_its_credit_does() {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
    rustix::io::write(&writer, b"0123456789").unwrap();
    let mut stdout = OutputStream::new(Stream::Stdout, reader, 4);
    let mut outbox = Outbox::default();
    stdout.read(1, &mut outbox, false).unwrap();
    assert!(!outbox.is_empty());
    assert_eq!(stdout.credit, 0);
    assert!(stdout.wanted(&Outbox::default()).is_none());
    stdout.add_credit(u64::MAX).unwrap();
    assert_eq!(stdout.add_credit(1), Err(Violation::CreditOverflow));
    let mut outbox = Outbox::default();
    stdout.read(1, &mut outbox, true).unwrap();
    stdout.read(1, &mut Outbox::default(), true).unwrap();
    assert!(
        stdout.ended(),
        "a writer may hold the pipe: when all of ours are gone, empty is the end"
    );
    drop(writer);
}
