use super::folders::Folders;
use super::{AGENT, Cgroup, Half, Version, v1, v2};
use crate::spare::Spare;
use crate::step::Failure;
use std::sync::Arc;

/// The cgroups of one sandbox. When dropped, whatever is inside is killed, and the payload's folders go.
pub struct Group {
    pub payload: Cgroup,
    folders: Folders,
    /// `None` only while it is dropped.
    nest: Option<Nest>,
    spare: Arc<Spare<Nest>>,
}

/// The agent's half, and where its payload's is made. Nothing that a run is limited by or accounted for is kept here, and no payload is ever
/// in it: when all in there are dead it is as it was, and serves the next sandbox. Whoever was in it died with the agent's pid namespace. It
/// is not killed by `cgroup.kill` before its own end: Linux 6.18 kills at once what is cloned into a cgroup that ever was.
pub struct Nest {
    id: String,
    agent: Cgroup,
    _folders: Folders,
    spoilt: bool,
}

/// The cgroup of a program that nobody else is with: a helper, or a VMM.
pub struct Single {
    pub payload: Cgroup,
    _folders: Folders,
}

impl Group {
    pub fn make(base: &'static Cgroup, id: &str, spare: &Arc<Spare<Nest>>) -> Result<Self, Failure> {
        let nest = match spare.take(|_| true) {
            Some(nest) => nest,
            None => Nest::make(base, id)?,
        };
        let mut folders = Folders::new(base, within(&nest.id, Half::Payload));
        Ok(Self {
            payload: half(base, &mut folders, &nest.id, Half::Payload)?,
            folders,
            nest: Some(nest),
            spare: spare.clone(),
        })
    }

    pub fn agent(&self) -> &Cgroup {
        &self.nest().agent
    }

    pub fn id(&self) -> &str {
        &self.nest().id
    }

    fn nest(&self) -> &Nest {
        self.nest.as_ref().expect("a group has its nest until it is dropped")
    }

    /// No other sandbox gets its nest: it has a controller that others do not want, or no agent could live in it.
    pub fn spoil(&mut self) {
        if let Some(nest) = &mut self.nest {
            nest.spoilt = true;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let emptied = self.folders.dispose();
        if let Some(nest) = self.nest.take().filter(|nest| emptied && nest.is_new()) {
            self.spare.keep(nest);
        }
    }
}

impl Nest {
    fn make(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        let mut folders = Folders::new(base, id.to_owned());
        if base.version == Version::V2 {
            v2::delegate(&folders.make(|_| id.to_owned())?)?;
        }
        let agent = half(base, &mut folders, id, Half::Agent)?;
        agent.limit(&AGENT)?;
        Ok(Self {
            id: id.to_owned(),
            agent,
            _folders: folders,
            spoilt: false,
        })
    }

    fn is_new(&self) -> bool {
        !self.spoilt && self.agent.is_empty().unwrap_or(false)
    }
}

impl Single {
    pub fn make(base: &'static Cgroup, id: &str) -> Result<Self, Failure> {
        let mut folders = Folders::new(base, id.to_owned());
        Ok(Self {
            payload: folders.make(|_| id.to_owned())?,
            _folders: folders,
        })
    }
}

fn half(base: &Cgroup, folders: &mut Folders, id: &str, half: Half) -> Result<Cgroup, Failure> {
    folders.make(|hierarchy| match base.version {
        Version::V1 => v1::place(base, hierarchy, id, half),
        Version::V2 => within(id, half),
    })
}

fn within(id: &str, half: Half) -> String {
    format!("{id}/{}", half.name())
}

#[cfg(test)]
mod tests {
    use crate::cgroup::Hierarchies;
    use std::process::Command;

    #[test]
    fn the_next_sandbox_gets_a_nest_that_is_as_it_was() {
        let name = format!("t-nests-{}", std::process::id());
        let hierarchies: &Hierarchies = Box::leak(Box::new(Hierarchies::open(&name).expect("cgroups")));
        let group = |id| hierarchies.group(id).expect("a group");
        drop(group("1"));
        let again = group("2");
        let beside = group("3");
        assert_eq!((again.id(), beside.id()), ("1", "3"));
        drop((again, beside));

        let mut spoilt = group("4");
        spoilt.spoil();
        assert_eq!(spoilt.id(), "3");
        drop(spoilt);

        let inhabited = group("5");
        assert_eq!(inhabited.id(), "1");
        let mut inhabitant = Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let pid = inhabitant.id().to_string();
        inhabited.agent().unified().write("cgroup.procs", &pid).expect("it moves");
        drop(inhabited);
        assert!(!inhabitant.wait().expect("it was killed").success());
        assert_eq!(group("6").id(), "6");

        hierarchies.sweep();
        hierarchies.remove();
    }
}
