use crate::filters::Calls;
use crate::guest::FOLDER;
use crate::users::User;
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::path::PathBuf;

pub const USAGE: &str = "\
caisson-launcher serve --name NAME --state DIR --worker-uid UID --worker-gid GID --agent PATH --converter PATH --lister PATH
        [--guest DIR]
    makes sandboxes for one worker, on the socket /run/caisson/NAME/launcher.sock; prints \"ready\" when it listens
caisson-launcher enter --user NAME|UID:GID [--group GID] --install DIR --at DIR [--reads PATH] [--executes PATH] [--writes PATH]
        [--no-network] [--no-listen] [--no-connect] [--calls service|redis] [--writable] -- PROGRAM ARGS...
    binds DIR read-only at the other DIR in a mount namespace of its own, steps down to the user, and executes; the program may
    name no other files than those and the system's (each of --reads, --executes and --writes may be given several times), and is
    held to a list of system calls: what services are refused, or all that Redis may ask
caisson-launcher probe
    prints what this machine can do, as JSON
";

pub enum Command {
    Serve(Serve),
    Enter(Enter),
    Probe,
    Help,
}

pub struct Serve {
    pub name: String,
    pub state: PathBuf,
    pub worker_uid: u32,
    pub worker_gid: u32,
    pub agent: PathBuf,
    pub converter: PathBuf,
    pub lister: PathBuf,
    /// Kernel and VMM of microVMs, as scripts/guest makes it.
    pub guest: PathBuf,
}

pub struct Enter {
    pub user: User,
    pub install: PathBuf,
    pub at: PathBuf,
    /// Beside the installation and the system's.
    pub reads: Vec<PathBuf>,
    pub executes: Vec<PathBuf>,
    pub writes: Vec<PathBuf>,
    pub network: bool,
    pub listens: bool,
    pub connects: bool,
    pub calls: Calls,
    pub writable: bool,
    pub program: OsString,
    pub args: Vec<OsString>,
}

pub fn parse() -> Result<Command, lexopt::Error> {
    let mut parser = Parser::from_env();
    match parser.next()? {
        Some(Arg::Value(command)) if command == "serve" => Ok(Command::Serve(serve(&mut parser)?)),
        Some(Arg::Value(command)) if command == "enter" => Ok(Command::Enter(enter(&mut parser)?)),
        Some(Arg::Value(command)) if command == "probe" => match parser.next()? {
            None => Ok(Command::Probe),
            Some(other) => Err(other.unexpected()),
        },
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(Command::Help),
        Some(other) => Err(other.unexpected()),
        None => Err("serve, enter or probe?".into()),
    }
}

fn serve(parser: &mut Parser) -> Result<Serve, lexopt::Error> {
    let (mut name, mut state, mut worker_uid, mut worker_gid, mut agent, mut converter) = (None, None, None, None, None, None);
    let (mut lister, mut guest) = (None, PathBuf::from(FOLDER));
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("guest") => guest = absolute("--guest", parser.value()?)?,
            Arg::Long("name") => name = Some(instance_name(parser.value()?.string()?)?),
            Arg::Long("state") => state = Some(absolute("--state", parser.value()?)?),
            Arg::Long("worker-uid") => worker_uid = Some(parser.value()?.parse()?),
            Arg::Long("worker-gid") => worker_gid = Some(parser.value()?.parse()?),
            Arg::Long("agent") => agent = Some(parser.value()?.into()),
            Arg::Long("converter") => converter = Some(parser.value()?.into()),
            Arg::Long("lister") => lister = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Serve {
        name: name.ok_or("--name is missing")?,
        state: state.ok_or("--state is missing")?,
        worker_uid: worker_uid.ok_or("--worker-uid is missing")?,
        worker_gid: worker_gid.ok_or("--worker-gid is missing")?,
        agent: agent.ok_or("--agent is missing")?,
        converter: converter.ok_or("--converter is missing")?,
        lister: lister.ok_or("--lister is missing")?,
        guest,
    })
}

fn enter(parser: &mut Parser) -> Result<Enter, lexopt::Error> {
    let (mut user, mut install, mut at, mut network, mut writable) = (None::<User>, None, None, true, false);
    let (mut listens, mut connects, mut calls) = (true, true, Calls::Service);
    let (mut groups, mut reads, mut executes, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut words = Vec::new();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("user") => user = Some(User::find(&parser.value()?.string()?)?),
            Arg::Long("install") => install = Some(absolute("--install", parser.value()?)?),
            Arg::Long("at") => at = Some(absolute("--at", parser.value()?)?),
            Arg::Long("group") => groups.push(parser.value()?.parse::<u32>()?),
            Arg::Long("reads") => reads.push(absolute("--reads", parser.value()?)?),
            Arg::Long("executes") => executes.push(absolute("--executes", parser.value()?)?),
            Arg::Long("writes") => writes.push(absolute("--writes", parser.value()?)?),
            Arg::Long("no-network") => network = false,
            Arg::Long("no-listen") => listens = false,
            Arg::Long("no-connect") => connects = false,
            Arg::Long("calls") => calls = Calls::named(&parser.value()?.string()?)?,
            Arg::Long("writable") => writable = true,
            Arg::Value(word) => {
                // Whatever follows the program is the program's, dashes included.
                words.push(word);
                words.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if groups.contains(&0) {
        return Err("--group 0: enter steps down, never to root's".into());
    }
    let mut user = user.ok_or("--user is missing")?;
    user.groups.extend(groups);
    let mut words = words.into_iter();
    Ok(Enter {
        user,
        install: install.ok_or("--install is missing")?,
        at: at.ok_or("--at is missing")?,
        reads,
        executes,
        writes,
        network,
        listens,
        connects,
        calls,
        writable,
        program: words.next().ok_or("a program is missing")?,
        args: words.collect(),
    })
}

/// It becomes a folder name, a cgroup name, and part of socket paths, which hold 107 bytes.
fn instance_name(name: String) -> Result<String, lexopt::Error> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // "uids" is the folder of the locks that instances share.
    if name.is_empty() || name.len() > 32 || name == "uids" || name.starts_with('-') || !name.bytes().all(allowed) {
        return Err(format!("--name {name:?}: 1 to 32 characters of [a-z0-9-], not \"uids\"").into());
    }
    Ok(name)
}

fn absolute(option: &str, value: OsString) -> Result<PathBuf, lexopt::Error> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{option} {}: not an absolute path", path.display()).into())
    }
}
