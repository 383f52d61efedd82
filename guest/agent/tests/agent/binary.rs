//! That nothing but the agent is in its file: a C library, or std, would come with a loader or memory of threads.
use crate::sandbox::program;

const POSITION_INDEPENDENT: u16 = 3;
const SEGMENTS_AT: usize = 0x20;
const SEGMENT_BYTES: usize = 56;
const LOADER: u32 = 3;
const THREADS: u32 = 7;
const SEALED: u32 = 0x6474_e552;

#[test]
fn the_program_is_its_own_and_lies_anywhere() {
    let file = std::fs::read(program()).unwrap();
    let number = |at: usize, bytes: usize| {
        (0..bytes)
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(file[at + byte]))
    };
    let first = number(SEGMENTS_AT, 8);
    let kinds: Vec<u32> = (0..number(0x38, 2))
        .map(|index| number(first + index * SEGMENT_BYTES, 4) as u32)
        .collect();
    assert_eq!(number(0x10, 2) as u16, POSITION_INDEPENDENT);
    assert!(
        kinds.contains(&SEALED) && !kinds.contains(&LOADER) && !kinds.contains(&THREADS),
        "{kinds:x?}"
    );
}
