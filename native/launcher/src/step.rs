//! What the launcher does, step by step, so that every failure names its own: "mount overlay: EPERM".
use caisson_frame::ErrnoName;
use std::fmt;

macro_rules! steps {
    ($($variant:ident => $name:literal,)*) => {
        /// Travels through a pipe as one number, from a child that cannot allocate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Step { $($variant,)* }

        impl Step {
            const ALL: &[Step] = &[$(Step::$variant,)*];

            pub fn name(self) -> &'static str {
                match self { $(Step::$variant => $name,)* }
            }

            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.get(number as usize).copied()
            }
        }
    };
}

steps! {
    Request => "check request",
    Frame => "read request",
    Lock => "lock",
    OpenFolder => "open folder",
    OwnFolder => "own folder",
    MakeFolder => "make folder",
    Listen => "listen",
    LoadProgram => "load program",
    FindCgroups => "find cgroups",
    MakeCgroup => "make cgroup",
    WriteCgroup => "write",
    ReadCgroup => "read",
    WatchMemory => "watch memory",
    TakeUids => "take uids",
    Unshare => "unshare",
    MakePrivate => "make mounts private",
    ObserveWalls => "observe walls",
    OpenNamespace => "open namespace",
    EnterNamespace => "enter namespace",
    CloneTree => "clone mount tree",
    SetMount => "set mount attributes",
    MoveMount => "attach mount",
    Unmount => "unmount",
    MakeRoots => "make roots",
    Loop => "loop device",
    MakeScratch => "make scratch disk",
    FormatScratch => "format scratch disk",
    MountScratch => "mount scratch disk",
    ShutDownScratch => "shut down scratch disk",
    MeasureScratch => "measure scratch disk",
    RenewScratch => "renew scratch disk",
    OpenLayer => "open layer",
    MountLayer => "mount layer",
    RemoveLayer => "remove layer",
    ListLayers => "list layers",
    ReadLayer => "read layer",
    CloneLayer => "clone layer mount",
    IdmapLayer => "idmap layer mount",
    DressUpper => "dress upper folder",
    MountOverlay => "mount overlay",
    MakeChannel => "make channel",
    TellAgent => "tell the agent of its root",
    Clone => "clone",
    MapIds => "map ids",
    WaitForParent => "wait for parent",
    WaitForChild => "wait for child",
    Signals => "reset signals",
    TimeOffsets => "set time offsets",
    BindRoot => "bind root",
    MountInRoot => "mount in root",
    PivotRoot => "pivot_root",
    LeaveHostTree => "leave host tree",
    Loopback => "bring loopback up",
    Groups => "set groups",
    Gid => "set gid",
    Uid => "set uid",
    Rlimit => "set rlimit",
    Label => "ask for its label",
    Privacy => "become undumpable",
    BoundingSet => "drop bounding set",
    Capabilities => "drop capabilities",
    NoNewPrivs => "no_new_privs",
    Landlock => "fence files",
    Seccomp => "attach filter",
    DieWithParent => "die with parent",
    Descriptors => "place descriptors",
    Exec => "execute",
    OpenOutput => "open output",
    Converter => "converter",
    Lister => "lister",
    Publish => "publish layer",
    Guest => "guest",
    Vmm => "VMM",
    Control => "control VMM",
    Console => "keep console",
    Template => "template",
    Watch => "watch sandbox",
}

#[derive(Debug, thiserror::Error)]
pub struct Failure {
    pub step: Step,
    /// What the step was about: a path, a key, a number; empty when the step says it all.
    pub subject: String,
    pub errno: i32,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.step.name())?;
        if !self.subject.is_empty() {
            write!(formatter, " {}", self.subject)?;
        }
        write!(formatter, ": {}", Errno(self.errno))
    }
}

pub trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn about(self, step: Step, subject: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Errno>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.about(step, "")
    }

    fn about(self, step: Step, subject: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            subject: subject.to_string(),
            errno: error.into().0,
        })
    }
}

/// Shown by its name.
pub struct Errno(i32);

impl Errno {
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        ErrnoName(self.0).fmt(formatter)
    }
}
