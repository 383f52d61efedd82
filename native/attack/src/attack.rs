//! What every hostile program says about itself, and how it tells what it found.
use serde_json::{Value, json};

pub struct Attack {
    /// One word, also of the source file.
    pub name: &'static str,
    pub class: Class,
    /// What it does to get out, or to harm others.
    pub tries: &'static str,
    /// The incident that it stands for, or the kind of incident.
    pub stands_for: &'static str,
    /// What happens behind a wall that holds.
    pub must: &'static str,
    /// Outcomes of the run that a wall which holds may give it.
    pub ends: &'static [&'static str],
    /// Of a run that exits.
    pub exit_code: i32,
    pub user: &'static str,
    pub image: Image,
    pub backends: &'static [&'static str],
    /// It says "holding" and waits: meanwhile a neighbour must find all it needs.
    pub holds: bool,
    pub limits: Limits,
    pub run: fn() -> Verdict,
}

/// Tight: where a wall does not hold, these bound the harm.
pub struct Limits {
    pub wall_ms: u64,
    pub cpu_ms: u64,
    pub cpu_millis: u64,
    pub memory_mib: u64,
    pub pids: u64,
    pub disk_mib: u64,
    pub open_files: u64,
    pub output_kib: u64,
}

pub const TIGHT: Limits = Limits {
    wall_ms: 10_000,
    cpu_ms: 5_000,
    cpu_millis: 1_000,
    memory_mib: 64,
    pids: 32,
    disk_mib: 16,
    open_files: 256,
    output_kib: 64,
};

#[derive(Clone, Copy)]
pub enum Class {
    Host,
    Agent,
    Privileges,
    Network,
    Exhaustion,
    Time,
    Information,
    Microvm,
}

#[derive(Clone, Copy)]
pub enum Image {
    Plain,
    /// Links and files of its own where the sandbox mounts something.
    Traps,
}

pub enum Verdict {
    Held(String),
    Broken(String),
    /// The machine lacks what the attack is about.
    NotApplicable(String),
}

impl Attack {
    pub const fn new(class: Class, run: fn() -> Verdict) -> Self {
        Self {
            name: "",
            class,
            tries: "",
            stands_for: "",
            must: "",
            ends: &["EXITED"],
            exit_code: 0,
            user: "",
            image: Image::Plain,
            backends: &["container", "microvm"],
            holds: false,
            limits: TIGHT,
            run,
        }
    }

    pub fn json(&self) -> Value {
        let Limits {
            wall_ms,
            cpu_ms,
            cpu_millis,
            memory_mib,
            pids,
            disk_mib,
            open_files,
            output_kib,
        } = self.limits;
        json!({
            "name": self.name,
            "class": self.class.name(),
            "tries": self.tries,
            "standsFor": self.stands_for,
            "must": self.must,
            "ends": self.ends,
            "exitCode": self.exit_code,
            "user": self.user,
            "image": match self.image { Image::Plain => "plain", Image::Traps => "traps" },
            "backends": self.backends,
            "holds": self.holds,
            "limits": {
                "wallMs": wall_ms, "cpuMs": cpu_ms, "cpuMillis": cpu_millis, "memoryBytes": memory_mib << 20, "pids": pids,
                "diskBytes": disk_mib << 20, "openFiles": open_files, "outputBytes": output_kib << 10,
            },
        })
    }
}

impl Class {
    fn name(self) -> &'static str {
        match self {
            Class::Host => "host paths and descriptors",
            Class::Agent => "the agent",
            Class::Privileges => "privileges",
            Class::Network => "network",
            Class::Exhaustion => "exhaustion",
            Class::Time => "time",
            Class::Information => "information",
            Class::Microvm => "the microVM",
        }
    }
}

impl Verdict {
    pub fn line(&self) -> String {
        let (word, detail) = match self {
            Verdict::Held(detail) => ("held", detail),
            Verdict::Broken(detail) => ("broken", detail),
            Verdict::NotApplicable(detail) => ("not applicable", detail),
        };
        format!("{word}: {}", detail.replace('\n', " "))
    }
}

/// Several tries of one attack: it is held when each of them is.
#[derive(Default)]
pub struct Tries {
    count: usize,
    broken: Vec<String>,
}

impl Tries {
    /// Whatever the reason, it did not work.
    pub fn refused<T>(&mut self, what: &str, result: Result<T, i32>) {
        self.check(what, result.is_err());
    }

    /// The filter answered, not the kernel behind it: any other error comes from code that the attacker reached.
    pub fn filtered<T>(&mut self, what: &str, result: Result<T, i32>) {
        self.count += 1;
        match result {
            Err(libc::EPERM | libc::ENOSYS) => {}
            Err(errno) => self.broken.push(format!("{what} reached the kernel (errno {errno})")),
            Ok(_) => self.broken.push(format!("{what} worked")),
        }
    }

    pub fn check(&mut self, what: &str, holds: bool) {
        self.count += 1;
        if !holds {
            self.broken.push(what.to_owned());
        }
    }

    pub fn verdict(self) -> Verdict {
        if self.count == 0 {
            return Verdict::NotApplicable("there was nothing to try it on".into());
        }
        if self.broken.is_empty() {
            return Verdict::Held(format!("{} tries", self.count));
        }
        let shown = self.broken.iter().take(8).cloned().collect::<Vec<_>>().join("; ");
        Verdict::Broken(format!("{} of {} tries: {shown}", self.broken.len(), self.count))
    }
}
