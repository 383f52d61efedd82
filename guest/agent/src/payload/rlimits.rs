use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const STACK_BYTES: u64 = 8 << 20;

/// The same for every program, whatever the launcher was started with; what was inherited is the ceiling.
pub fn set(open_files: u64) -> Result<(), Errno> {
    setrlimit(Resource::Nofile, both(open_files))?;
    // One byte, not none: it ends a dump also where the machine pipes dumps to a program of its own, which no limit of 0 stops.
    setrlimit(Resource::Core, both(1))?;
    setrlimit(
        Resource::Stack,
        Rlimit {
            current: Some(STACK_BYTES),
            maximum: getrlimit(Resource::Stack).maximum,
        },
    )?;
    for unlimited in [
        Resource::As,
        Resource::Cpu,
        Resource::Data,
        Resource::Fsize,
        Resource::Nproc,
        Resource::Rss,
    ] {
        let maximum = getrlimit(unlimited).maximum;
        setrlimit(
            unlimited,
            Rlimit {
                current: maximum,
                maximum,
            },
        )?;
    }
    for none in [Resource::Nice, Resource::Rtprio] {
        setrlimit(none, both(0))?;
    }
    Ok(())
}

fn both(value: u64) -> Rlimit {
    Rlimit {
        current: Some(value),
        maximum: Some(value),
    }
}
