//! The codec against every way in which a stream can arrive.
use caisson_frame::agent::{AgentFrame, Input, Output, Stream, agent_frame, host_frame};
use caisson_frame::agent::{Credit, Exec, HostFrame, Rlimits, Setup, Signal};
use caisson_frame::{Decoder, FrameError, HEADER_BYTES, MAX_FRAME_BYTES, encode_frame, read_frame, write_frame};
use proptest::prelude::*;

fn host(frame: host_frame::Frame) -> HostFrame {
    HostFrame { frame: Some(frame) }
}

fn any_host_frame() -> impl Strategy<Value = HostFrame> {
    let words = || prop::collection::vec(".{0,40}", 0..8);
    prop_oneof![
        (
            any::<u32>(),
            any::<u64>(),
            prop::collection::vec(any::<u8>(), 0..3000),
            any::<bool>()
        )
            .prop_map(|(process_id, offset, data, end)| host_frame::Frame::Input(Input {
                process_id,
                offset,
                data,
                end
            })),
        (any::<u32>(), any::<i32>(), any::<u64>()).prop_map(|(process_id, stream, bytes)| host_frame::Frame::Credit(Credit {
            process_id,
            stream,
            bytes
        })),
        (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(process_id, number, group)| host_frame::Frame::Signal(Signal {
            process_id,
            number,
            group
        })),
        (".{0,80}", any::<[u8; 32]>(), any::<i64>()).prop_map(|(hostname, entropy, unix_us)| {
            host_frame::Frame::Setup(Setup {
                hostname,
                entropy: entropy.to_vec(),
                unix_us,
                machine: None,
            })
        }),
        (words(), words(), ".{0,80}", ".{0,80}", any::<u64>()).prop_map(|(args, env, cwd, user, open_files)| {
            let rlimits = Some(Rlimits { open_files });
            host_frame::Frame::Exec(Exec {
                args,
                env,
                cwd,
                user,
                rlimits,
                ..Exec::default()
            })
        }),
    ]
    .prop_map(host)
}

fn wire(frames: &[HostFrame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| encode_frame(frame).unwrap()).collect()
}

/// Feeds pieces that end at `cuts`, and takes out whatever is whole after each.
fn decode_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<(Vec<HostFrame>, bool), FrameError> {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&bytes.len()]) {
        decoder.push(&bytes[start..end]);
        start = end;
        while let Some(message) = decoder.pull()? {
            messages.push(message);
        }
    }
    Ok((messages, decoder.at_boundary()))
}

proptest! {
    #[test]
    fn frames_survive_a_split_at_any_bytes(
        frames in prop::collection::vec(any_host_frame(), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = wire(&frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let (messages, at_boundary) = decode_in_pieces(&bytes, &cuts).unwrap();
        prop_assert_eq!(messages, frames);
        prop_assert!(at_boundary);
    }

    #[test]
    fn garbage_is_an_error_or_waits_and_never_more(
        bytes in prop::collection::vec(any::<u8>(), 0..4096),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let _ = decode_in_pieces(&bytes, &cuts);
    }

    #[test]
    fn a_framed_body_of_garbage_decides_alike_in_both_readers(body in prop::collection::vec(any::<u8>(), 0..2048)) {
        let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        let whole = read_frame::<HostFrame>(&mut bytes.as_slice());
        let pieces = decode_in_pieces(&bytes, &[1.min(bytes.len()), bytes.len() / 2 + 1]);
        match (whole, pieces) {
            (Ok(Some(one)), Ok((many, true))) => prop_assert_eq!(vec![one], many),
            (Err(FrameError::Malformed(_)), Err(FrameError::Malformed(_))) => {}
            (whole, pieces) => prop_assert!(false, "{:?} against {:?}", whole, pieces),
        }
    }

    #[test]
    fn one_changed_byte_never_panics(
        frames in prop::collection::vec(any_host_frame(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = wire(&frames);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_in_pieces(&bytes, &[bytes.len() / 3, bytes.len() / 2]);
    }
}

#[test]
fn every_single_split_of_a_frame() {
    let frames = [host(host_frame::Frame::Input(Input {
        process_id: 1,
        offset: 7,
        data: b"hello".to_vec(),
        end: true,
    }))];
    let bytes = wire(&frames);
    for cut in 0..=bytes.len() {
        assert_eq!(decode_in_pieces(&bytes, &[cut]).unwrap().0, frames);
    }
}

#[test]
fn a_length_above_the_cap_is_refused_from_its_header_alone() {
    for length in [MAX_FRAME_BYTES as u32 + 1, u32::MAX] {
        let header = length.to_be_bytes();
        let mut decoder = Decoder::<HostFrame>::new();
        decoder.push(&header);
        assert!(matches!(decoder.pull(), Err(FrameError::TooLong(_))));
        decoder.push(b"more");
        assert!(matches!(decoder.pull(), Err(FrameError::TooLong(_))), "an error is final");
        assert!(matches!(
            read_frame::<HostFrame>(&mut header.as_slice()),
            Err(FrameError::TooLong(_))
        ));
    }
}

#[test]
fn a_sender_is_held_to_the_same_cap() {
    let output = Output {
        process_id: 1,
        stream: Stream::Stdout as i32,
        offset: 0,
        data: vec![0; MAX_FRAME_BYTES],
    };
    let frame = AgentFrame {
        frame: Some(agent_frame::Frame::Output(output)),
    };
    assert!(matches!(encode_frame(&frame), Err(FrameError::TooLong(_))));
}

#[test]
fn an_end_between_frames_is_an_end_and_inside_one_an_error() {
    let mut bytes = Vec::new();
    write_frame(
        &mut bytes,
        &host(host_frame::Frame::Signal(Signal {
            process_id: 1,
            number: 15,
            group: false,
        })),
    )
    .unwrap();
    let mut stream = bytes.as_slice();
    assert!(read_frame::<HostFrame>(&mut stream).unwrap().is_some());
    assert!(read_frame::<HostFrame>(&mut stream).unwrap().is_none());
    for cut in 1..bytes.len() {
        assert!(
            matches!(read_frame::<HostFrame>(&mut &bytes[..cut]), Err(FrameError::Truncated)),
            "cut at {cut}"
        );
    }
    assert!(bytes.len() > HEADER_BYTES);
}
