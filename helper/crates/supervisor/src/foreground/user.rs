use std::ffi::{CString, OsString};
use std::io;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// Who runs a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
    name: Option<OsString>,
    home: Option<PathBuf>,
}

impl Account {
    /// By a word as `USER[:GROUP]`, each a name or a number. `None` where the machine knows none of that name.
    pub fn named(word: &str) -> io::Result<Option<Self>> {
        let (user, group) = word.split_once(':').map_or((word, None), |(user, group)| (user, Some(group)));
        let known = match user.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number))?,
            Err(_) => User::from_name(user)?,
        };
        let (uid, own) = match (&known, user.parse()) {
            (Some(known), _) => (known.uid, known.gid),
            (None, Ok(number)) => (Uid::from_raw(number), Gid::from_raw(number)),
            (None, Err(_)) => return Ok(None),
        };
        let gid = match group.map(|group| (group, group.parse())) {
            None => own,
            Some((_, Ok(number))) => Gid::from_raw(number),
            Some((name, Err(_))) => match Group::from_name(name)? {
                Some(group) => group.gid,
                None => return Ok(None),
            },
        };
        let groups = match &known {
            Some(known) => getgrouplist(&CString::new(known.name.as_str())?, gid)?,
            None => vec![gid],
        };
        let (name, home) = known.map(|known| (known.name.into(), known.dir)).unzip();
        Ok(Some(Self { uid, gid, groups, name, home }))
    }

    pub(super) fn env(&self) -> impl Iterator<Item = (&'static str, OsString)> + '_ {
        let name = ["USER", "LOGNAME"].into_iter().filter_map(|key| Some((key, self.name.clone()?)));
        name.chain(self.home.clone().map(|home| ("HOME", home.into_os_string())))
    }

    /// In the child; there is no way back.
    pub(super) fn become_it(&self) -> nix::Result<()> {
        nix::unistd::setgroups(&self.groups)?;
        nix::unistd::setgid(self.gid)?;
        nix::unistd::setuid(self.uid)
    }
}
