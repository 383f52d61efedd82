//! A sandbox from preparation to disposal.
mod support;

use caisson_frame::agent::exited::End;
use support::agent::Agent;
use support::conversation::{Conversation, start};
use support::host::Traces;
use support::{Launcher, images};

#[test]
fn runs_a_program_and_leaves_nothing() {
    let launcher = Launcher::start();
    let layers = images::make(&launcher);
    run_once(&launcher, &layers);
    let before = Traces::idle(&launcher);
    for _ in 0..5 {
        run_once(&launcher, &layers);
    }
    Traces::settle_to(&launcher, &before);
}

fn run_once(launcher: &Launcher, layers: &[String]) {
    let mut conversation = Conversation::open(launcher);
    let prepared = conversation.prepare();
    let mut agent = Agent::connect(&prepared.channel_path);
    conversation.start(start(layers));
    agent.shell("cat /etc/two /three; echo -n more > /etc/two; cat /etc/two; exit 7");
    assert_eq!(agent.finish(), ("twothreemore".into(), Some(End::ExitCode(7))));
    let finished = conversation.finish();
    eprintln!("{finished:?}");
    assert_eq!(finished.reason, 0);
}
